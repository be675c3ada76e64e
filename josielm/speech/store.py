"""Voices in folders: `config.json` beside `model.safetensors` (fp16), found by name or by place. Never a pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from josiecodec.atomic import write_bytes
from josiecodec.config import from_dict, to_dict
from josiecodec.errors import CodecError, ConfigError, ModelError
from josiecodec.hub.allocation import AllocationLimit

from .config import VoiceConfig
from .letters import LettersConfig, LettersToPhones
from .voice import Voice

PLACE = Path(__file__).parent / "weights"  # the voices of the package
SHIPPED = "hana"
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
FORMAT = 1
MAX_CONFIG = 1 << 20  # bytes


@dataclass
class LoadedVoice:
    """A voice, and the network that reads words for it.

    Attributes:
        voice: in evaluation mode.
        letters: reads what no dictionary has, in evaluation mode.
    """

    voice: Voice
    letters: LettersToPhones


def save_voice(folder: str | Path, voice: Voice, letters: LettersToPhones) -> Path:
    """Write a voice to a folder, numbers as fp16; its configuration comes last. Returns the folder.

    Raises:
        CodecError: if it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CodecError(f"{folder}: cannot be made ({error.strerror})") from None
    tensors = {
        f"{part}.{name}": value.detach().half().contiguous()
        for part, network in (("voice", voice), ("letters", letters))
        for name, value in network.state_dict().items()
    }
    values = {"format": FORMAT, "type": "voice", "voice": to_dict(voice.config), "letters": to_dict(letters.config)}
    write_bytes(folder / WEIGHTS_FILE, safetensors.torch.save(tensors))
    write_bytes(folder / CONFIG_FILE, (json.dumps(values, indent=1) + "\n").encode())
    return folder


def load_voice(name: str | Path = SHIPPED) -> LoadedVoice:
    """A voice from a folder, or by the name of one that came with the package.

    Raises:
        ModelError: if there is none, or its files do not fit together.
    """
    folder = next((p for p in (Path(name), PLACE / str(name)) if (p / CONFIG_FILE).is_file()), None)
    if folder is None:
        known = ", ".join(sorted(p.parent.name for p in PLACE.glob(f"*/{CONFIG_FILE}"))) or "none"
        raise ModelError(f"no voice {str(name)!r}: neither a folder with {CONFIG_FILE} nor one of these: {known}")
    try:
        with open(folder / CONFIG_FILE, "rb") as file:
            values = json.loads(file.read(MAX_CONFIG))
        if not isinstance(values, dict) or values.get("type") != "voice" or values.get("format") != FORMAT:
            raise ConfigError("not the configuration of a voice that josielm knows")
        configs = from_dict(VoiceConfig, values.get("voice")), from_dict(LettersConfig, values.get("letters"))
        tensors = safetensors.torch.load_file(str(folder / WEIGHTS_FILE))
        with AllocationLimit(sum(tensor.numel() for tensor in tensors.values())):
            loaded = LoadedVoice(Voice(configs[0]), LettersToPhones(configs[1]))
        loaded.voice.load_state_dict(_of("voice.", tensors))
        loaded.letters.load_state_dict(_of("letters.", tensors))
    except (OSError, ValueError, RecursionError, ConfigError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder}: cannot be read ({error})") from None
    except RuntimeError:  # of tensors that are missing, too many or of another shape
        raise ModelError(f"{folder}: cannot be read (the weights are not those of the configuration)") from None
    for network in (loaded.voice, loaded.letters):
        network.eval().requires_grad_(False)
    return loaded


def _of(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a network, by their names in it."""
    return {name[len(prefix) :]: t.to(torch.float32) for name, t in tensors.items() if name.startswith(prefix)}
