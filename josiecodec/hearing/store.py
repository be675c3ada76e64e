"""Networks that hear, in folders: `config.json` beside `model.safetensors` (fp16), found by name or by place."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import nn

from ..atomic import write_bytes
from ..config import from_dict, to_dict
from ..errors import CodecError, ConfigError, ModelError
from ..hub.allocation import AllocationLimit
from .conformer import Conformer, ConformerConfig
from .speaker import SpeakerConfig, SpeakerEncoder

PLACE = Path(__file__).parent / "weights"  # the networks of the package
SPEAKER = "speaker-16k"
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
MAX_CONFIG = 1 << 20  # bytes
KINDS: dict[str, tuple[type, type]] = {
    "speaker": (SpeakerConfig, SpeakerEncoder),
    "conformer": (ConformerConfig, Conformer),
}


def save(network: SpeakerEncoder | Conformer, folder: str | Path) -> Path:
    """Write a network to a folder, numbers as fp16; the folder.

    Raises:
        CodecError: if it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CodecError(f"{folder}: cannot be made ({error.strerror})") from None
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in network.state_dict().items()
    }
    write_bytes(folder / WEIGHTS_FILE, safetensors.torch.save(tensors))
    write_bytes(folder / CONFIG_FILE, (json.dumps(to_dict(network.config), indent=2) + "\n").encode())
    return folder


def load(name: str | Path, kind: str) -> Any:
    """A network in evaluation mode, from a folder or by the name of one that came with the package.

    Args:
        kind: "speaker" or "conformer".

    Raises:
        ModelError: if there is none, it is of another kind, or its files do not fit together.
    """
    folder = next((p for p in (Path(name), PLACE / str(name)) if (p / CONFIG_FILE).is_file()), None)
    if folder is None:
        known = ", ".join(sorted(p.parent.name for p in PLACE.glob(f"*/{CONFIG_FILE}"))) or "none"
        raise ModelError(f"no network {str(name)!r}: neither a folder with {CONFIG_FILE} nor one of these: {known}")
    config_type, network_type = KINDS[kind]
    try:
        with open(folder / CONFIG_FILE, "rb") as file:
            values = json.loads(file.read(MAX_CONFIG))
        config: Any = from_dict(config_type, values)
        tensors = safetensors.torch.load_file(str(folder / WEIGHTS_FILE))
        with AllocationLimit(sum(tensor.numel() for tensor in tensors.values())):
            network: nn.Module = network_type(config)
        network.load_state_dict(tensors)
    except (OSError, ValueError, RecursionError, ConfigError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder}: cannot be read ({error})") from None
    except RuntimeError:  # of tensors that are missing, too many or of another shape
        raise ModelError(f"{folder}: cannot be read (the weights are not those of the configuration)") from None
    return network.eval().requires_grad_(False)


@cache
def speaker_encoder() -> SpeakerEncoder:
    """The speaker encoder of the package, loaded once."""
    network: SpeakerEncoder = load(SPEAKER, "speaker")
    return network


@cache
def aligner(name: str) -> Conformer:
    """The conformer of a folder, loaded once."""
    network: Conformer = load(name, "conformer")
    return network
