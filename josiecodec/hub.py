"""Finding, loading and saving models: `config.json` beside `model.safetensors`, never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, overload

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .atomic import write_bytes
from .audio.config import JodioConfig
from .audio.jodio import Jodio
from .codec import TokenCodec
from .config import from_dict, to_dict
from .errors import CodecError, ConfigError, ModelError
from .fingerprint import CONFIG_FILE, TABLES_FILE, WEIGHTS_FILE, of_folder
from .nn.conv import fold_weight_norm
from .tokens.tables import read_tables
from .vision.config import JovioConfig
from .vision.jovio import Jovio

WEIGHTS = Path(__file__).parent / "weights"
FORMAT = 1
_TYPES: dict[str, tuple[type, type[TokenCodec]]] = {"jodio": (JodioConfig, Jodio), "jovio": (JovioConfig, Jovio)}


def available() -> list[str]:
    """Names of the models that came with the package."""
    return sorted(p.parent.name for p in WEIGHTS.glob(f"*/{WEIGHTS_FILE}") if (p.parent / CONFIG_FILE).is_file())


@overload
def load(name: Literal["jodio-24k"] = ..., device: str | torch.device = ...) -> Jodio: ...
@overload
def load(name: Literal["jovio-16"], device: str | torch.device = ...) -> Jovio: ...
@overload
def load(name: str | Path, device: str | torch.device = ...) -> Any: ...
def load(name: str | Path = "jodio-24k", device: str | torch.device = "cpu") -> Any:
    """Load a trained codec, ready for use.

    Args:
        name: of a model that came with the package, or a folder with `config.json` and
            `model.safetensors`.
        device: where to put it.

    Returns:
        the `Jodio` or `Jovio` in evaluation mode, with `fingerprint` set to the sha256 of config and weights.

    Raises:
        ModelError: if it cannot be found or its files do not fit together.
    """
    folder = find(name)
    model = load_for_training(folder)
    fold_weight_norm(model)
    model.saved_fingerprint = of_folder(folder)
    if (folder / TABLES_FILE).is_file():
        model.tables = read_tables(folder / TABLES_FILE)
    return model.eval().requires_grad_(False).to(device)


def load_for_training(folder: str | Path) -> Any:
    """Load a model with all its parameters trainable, as `training` continues from.

    Raises:
        ModelError: as `load`.
    """
    folder = find(folder)
    config = read_config(folder)
    try:
        model = next(made for kind, made in _TYPES.values() if isinstance(config, kind))(config)
    except (CodecError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        raise ModelError(f"{folder / CONFIG_FILE}: no model can be made of this ({error})") from None
    weights_file = folder / WEIGHTS_FILE
    try:
        tensors = safetensors.torch.load_file(str(weights_file))
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{weights_file}: cannot be read ({error})") from None
    _fill(model, tensors, weights_file)
    return model


def find(name: str | Path) -> Path:
    """The folder of a model.

    Raises:
        ModelError: if there is none.
    """
    for folder in (Path(name), WEIGHTS / str(name)):
        if (folder / WEIGHTS_FILE).is_file() and (folder / CONFIG_FILE).is_file():
            return folder
    if Path(name).is_dir():
        raise ModelError(f"{name}: no {CONFIG_FILE} and {WEIGHTS_FILE} in this folder")
    known = ", ".join(available()) or "none"
    raise ModelError(f"no model {str(name)!r}: neither a folder nor one of those that came along ({known})")


def find_fingerprint(mark: str, name: str) -> Path:
    """The folder of the model with this fingerprint, among those that came with the package.

    Args:
        mark: sha256, as a file's header has it.
        name: of the model, for the message.

    Raises:
        ModelError: if there is none.
    """
    for folder in (WEIGHTS / n for n in available()):
        if of_folder(folder) == mark:
            return folder
    raise ModelError(
        f"the file was made by model {name} ({mark[:12]}), which did not come with this version; give its folder"
    )


def read_config(folder: Path) -> JodioConfig | JovioConfig:
    """The configuration of the model in `folder`.

    Raises:
        ModelError: if it is damaged or made by a later version.
    """
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG_FILE}: cannot be read ({error})") from None
    kind = values.get("type") if isinstance(values, dict) else None
    if not isinstance(kind, str) or values.get("format") != FORMAT or kind not in _TYPES:
        raise ModelError(f"{folder / CONFIG_FILE}: not the configuration of a model this version knows")
    try:
        return from_dict(_TYPES[kind][0], values.get("config"), str(folder / CONFIG_FILE))
    except (ConfigError, ArithmeticError) as error:
        raise ModelError(str(error)) from None


def save(model: TokenCodec, folder: str | Path, dtype: torch.dtype = torch.float16) -> Path:
    """Write a model to `folder` (made if need be), its weights as `dtype`, with its tables if it has any.

    Returns the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = next(name for name, (_, made) in _TYPES.items() if isinstance(model, made))
    values = {"format": FORMAT, "type": name, "config": to_dict(model.config)}
    tensors = {name: _stored(value, dtype) for name, value in model.state_dict().items()}
    write_bytes(folder / WEIGHTS_FILE, safetensors.torch.save(tensors))
    if model.tables is None:
        (folder / TABLES_FILE).unlink(missing_ok=True)  # those of other weights
    else:
        write_bytes(folder / TABLES_FILE, model.tables.data)
    write_bytes(folder / CONFIG_FILE, (json.dumps(values, indent=1) + "\n").encode())
    return folder


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.to(dtype) if value.is_floating_point() else value


def _fill(model: TokenCodec, tensors: dict[str, Tensor], where: Path) -> None:
    if not any("parametrizations" in name for name in tensors):
        fold_weight_norm(model)  # saved from a model that was loaded for use
    own = model.state_dict()
    missing, extra = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    if missing or extra:
        raise ModelError(f"{where}: tensor {(missing or extra)[0]!r} is {'missing' if missing else 'not expected'}")
    for name, value in tensors.items():
        if value.shape != own[name].shape:
            raise ModelError(f"{where}: {name} is {list(value.shape)}, not {list(own[name].shape)}")
    model.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})
