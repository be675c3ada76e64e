"""Finding, loading and saving models: `config.json` beside `model.safetensors`, never a pickle.

A Mimi is also read, and written, in the two layouts in which it is published (`mimi_weights.py`). Repositories of the
Hugging Face hub, `hf:org/repo`, are fetched by `remote.py`.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal, overload

import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from ..atomic import write_bytes
from ..audio.config import JodioConfig
from ..audio.presets import preset
from ..coding.codec import TokenCodec
from ..coding.jodio import Jodio
from ..coding.jovio import Jovio
from ..config import from_dict, to_dict
from ..entropy.tables_file import read_tables
from ..errors import CodecError, ConfigError, ModelError
from ..fingerprint import CONFIG_FILE, TABLES_FILE, WEIGHTS_FILE, of_tensors
from ..nn.conv import fold_weight_norm, restore_weight_norm
from ..shipped import WEIGHTS, available, fingerprint_of
from ..vision.config import JovioConfig
from .format_1 import upgraded
from .mimi_config import MODEL_TYPE, read_mimi_config, write_mimi_config
from .mimi_weights import acoustic_levels, is_mimi, read_layout, write_layout
from .remote import PREFIX, fetch

FORMAT = 2
Stored = Literal["josiecodec", "transformers", "kyutai"]
KYUTAI_FILE = "mimi.safetensors"
# What transformers' feature extractor for Mimi wants to know.
EXTRACTOR = {
    "feature_extractor_type": "EncodecFeatureExtractor",
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
}
_TYPES: dict[str, tuple[type, type[TokenCodec]]] = {"jodio": (JodioConfig, Jodio), "jovio": (JovioConfig, Jovio)}


@overload
def load(name: Literal["jodio-24k"] = ..., device: str | torch.device = ...) -> Jodio: ...
@overload
def load(name: Literal["jovio-16"], device: str | torch.device = ...) -> Jovio: ...
@overload
def load(name: str | Path, device: str | torch.device = ..., revision: str | None = ...) -> Any: ...
def load(name: str | Path = "jodio-24k", device: str | torch.device = "cpu", revision: str | None = None) -> Any:
    """Load a trained codec, ready for use.

    Args:
        name: of a model that came with the package; or a folder with `config.json` and `model.safetensors`, ours or
            those of a Mimi of transformers; or a file of Mimi's weights in Kyutai's layout; or "hf:org/repo", or
            "hf:org/repo/file.safetensors", of the Hugging Face hub (needs the extra `hub`).
        device: where to put it.
        revision: of a repository: branch, tag or commit.

    Returns:
        the `Jodio` or `Jovio` in evaluation mode, with `fingerprint` set to the sha256 of config and weights.

    Raises:
        ModelError: if it cannot be found or its files do not fit together.
    """
    place = find(name, revision)
    model, _ = _read(place)
    fold_weight_norm(model)
    tables = place / TABLES_FILE
    if tables.is_file():
        model.tables = read_tables(tables)
    model.saved_fingerprint = _fingerprint(model, place)
    return model.eval().requires_grad_(False).to(device)


def load_for_training(name: str | Path) -> Any:
    """Load a model with all its parameters trainable, and its weight norm, as `training` continues from.

    Raises:
        ModelError: as `load`.
    """
    model, normed = _read(find(name))
    restore_weight_norm(model, normed)
    return model


def _read(place: Path) -> tuple[Any, list[str]]:
    """The model in a place, and the names of its parts that are trained with weight norm."""
    layout = _layout(place)
    weights_file = place if place.is_file() else place / WEIGHTS_FILE
    try:
        tensors = safetensors.torch.load_file(str(weights_file))
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{weights_file}: cannot be read ({error})") from None
    config = read_config(place)
    try:
        model = next(made for kind, made in _TYPES.values() if isinstance(config, kind))(config)
    except (CodecError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        raise ModelError(f"{place}: no model can be made of this configuration ({error})") from None
    normed = [name for name, part in model.named_modules() if parametrize.is_parametrized(part, "weight")]
    if isinstance(config, JodioConfig) and layout != "josiecodec":
        fold_weight_norm(model)
        try:
            tensors = read_layout(tensors, model.state_dict(), config, layout)
        except ModelError as error:
            raise ModelError(f"{weights_file}: {error}") from None
    _fill(model, tensors, weights_file)
    return model, normed


def find(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model, or the file of one in Kyutai's layout.

    Raises:
        ModelError: if there is none.
    """
    if str(name).startswith(PREFIX):
        return fetch(str(name), revision)
    if revision is not None:
        raise ModelError(f"{name}: only repositories ({PREFIX}org/repo) have revisions")
    for place in (Path(name), WEIGHTS / str(name)):
        if (place / WEIGHTS_FILE).is_file() and (place / CONFIG_FILE).is_file():
            return place
    if Path(name).is_file() and Path(name).suffix == ".safetensors":
        return Path(name)
    if Path(name).is_dir():
        raise ModelError(f"{name}: no {CONFIG_FILE} and {WEIGHTS_FILE} in this folder")
    known = ", ".join(available()) or "none"
    raise ModelError(
        f"no model {str(name)!r}: neither a folder nor a repository ({PREFIX}org/repo) nor one of those that came "
        f"along ({known})"
    )


def read_config(place: Path) -> JodioConfig | JovioConfig:
    """The configuration of the model in a folder, or in a file of Kyutai's layout.

    Raises:
        ModelError: if it is damaged or made by a later version.
    """
    if place.is_file():
        return _config_of_file(place)
    file = place / CONFIG_FILE
    values = _values(file)
    kind = values.get("type")
    try:
        if values.get("model_type") == MODEL_TYPE:
            return read_mimi_config(values)
        if not isinstance(kind, str) or values.get("format") not in (1, FORMAT) or kind not in _TYPES:
            raise ModelError("not the configuration of a model this version knows")
        if values.get("format") == 1:
            values = upgraded(values)
        return from_dict(_TYPES[kind][0], values.get("config"), str(file))
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from None
    except (ConfigError, ArithmeticError) as error:
        raise ModelError(str(error)) from None


def save(
    model: TokenCodec,
    folder: str | Path,
    dtype: torch.dtype = torch.float16,
    layout: Stored = "josiecodec",
) -> Path:
    """Write a model to `folder` (made if need be): weights as `dtype`, without weight norm, and tables if it has any.

    Args:
        model: any codec of ours.
        folder: where to.
        dtype: of the floating-point tensors in the file.
        layout: "josiecodec"; for a Mimi also "transformers", or "kyutai": one file without a configuration.

    Returns:
        the folder; in the layout "kyutai" the file in it.

    Raises:
        ModelError: if the layout is not for this model.
    """
    folder = Path(folder)
    tensors = _plain_tensors(model)
    values: dict[str, Any]
    if layout == "josiecodec":
        name = next(name for name, (_, made) in _TYPES.items() if isinstance(model, made))
        values = {"format": FORMAT, "type": name, "config": to_dict(model.config)}
    else:
        tensors = write_layout(tensors, model.config, layout)
        values = write_mimi_config(model.config) | {"dtype": str(dtype).removeprefix("torch.")}
    metadata = {"format": "pt"} if layout == "transformers" else None
    data = safetensors.torch.save({name: _stored(value, dtype) for name, value in tensors.items()}, metadata)
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "kyutai":
        write_bytes(folder / KYUTAI_FILE, data)
        return folder / KYUTAI_FILE
    write_bytes(folder / WEIGHTS_FILE, data)
    if model.tables is None:
        (folder / TABLES_FILE).unlink(missing_ok=True)  # those of other weights
    else:
        write_bytes(folder / TABLES_FILE, model.tables.data)
    if layout == "transformers":
        _write_json(folder / "preprocessor_config.json", EXTRACTOR | {"sampling_rate": model.config.sample_rate})
    _write_json(folder / CONFIG_FILE, values)
    return folder


def save_pretrained(model: TokenCodec, folder: str | Path, layout: Stored = "josiecodec") -> Path:
    """`save` without any loss: as float16 where that holds every weight exactly, else as float32."""
    values = (value for value in _plain_tensors(model).values() if value.is_floating_point())
    exact = layout == "josiecodec" and all(torch.equal(v.half().to(v.dtype), v) for v in values)
    return save(model, folder, torch.float16 if exact else torch.float32, layout)


def copy(name: str | Path, folder: str | Path, layout: Stored = "josiecodec") -> tuple[Path, str]:
    """`load`, then `save_pretrained`; where both layouts are ours, the very bytes of the files.

    Returns:
        what was written, as `save` says it, and its fingerprint.

    Raises:
        ModelError: as `load` and `save`.
    """
    place, folder = find(name), Path(folder)
    model = load(place)
    if layout != "josiecodec" or _layout(place) != "josiecodec":
        written = save_pretrained(model, folder, layout)
        if layout == "kyutai":
            model.tables = None  # one file has no room for them
        return written, _fingerprint(model, written)
    folder.mkdir(parents=True, exist_ok=True)
    for file in (WEIGHTS_FILE, TABLES_FILE, CONFIG_FILE):
        if (place / file).is_file():
            write_bytes(folder / file, (place / file).read_bytes())
        else:
            (folder / file).unlink(missing_ok=True)
    return folder, model.fingerprint


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_bytes(path, (json.dumps(values, indent=1) + "\n").encode())


def _values(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: cannot be read ({error})") from None
    return values if isinstance(values, dict) else {}


def _layout(place: Path) -> Stored:
    if place.is_file():
        return "kyutai"
    return "transformers" if _values(place / CONFIG_FILE).get("model_type") == MODEL_TYPE else "josiecodec"


def _config_of_file(file: Path) -> JodioConfig:
    """The preset "mimi" with as many levels as the file has; all else is fixed in Kyutai's code."""
    try:
        with safetensors.safe_open(str(file), "pt") as opened:
            levels = acoustic_levels(opened.keys())
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{file}: cannot be read ({error})") from None
    if not levels:
        raise ModelError(f"{file}: not the weights of a Mimi in Kyutai's layout")
    config = preset("mimi")
    quantizer = dataclasses.replace(config.quantizer, acoustic_levels=levels)
    encoding = dataclasses.replace(config.encoding, n_q=min(config.encoding.n_q, levels + 1))
    return dataclasses.replace(config, quantizer=quantizer, encoding=encoding)


def _fingerprint(model: TokenCodec, place: Path) -> str:
    """sha256 (hex) of a loaded model: of the bytes of its files; of a Mimi, the same in every layout."""
    if not isinstance(model, Jodio) or not is_mimi(model.config):
        return fingerprint_of(place)
    try:
        values = write_mimi_config(model.config)
    except ModelError:  # one that only our layout can say
        return fingerprint_of(place)
    tables = b"" if model.tables is None else model.tables.data
    return of_tensors(write_layout(_plain_tensors(model), model.config, "transformers"), values, tables)


def _plain_tensors(model: TokenCodec) -> dict[str, Tensor]:
    """The tensors of a model without weight norm."""
    plain = {name: value for name, value in model.state_dict().items() if ".parametrizations." not in name}
    for name, part in model.named_modules():
        if parametrize.is_parametrized(part, "weight"):
            plain[f"{name}.weight"] = part.weight.detach()
    return plain


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.to(dtype) if value.is_floating_point() else value


def _fill(model: TokenCodec, tensors: dict[str, Tensor], where: Path) -> None:
    if not any("parametrizations" in name for name in tensors):
        fold_weight_norm(model)
    own = model.state_dict()
    missing, extra = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    if missing or extra:
        raise ModelError(f"{where}: tensor {(missing or extra)[0]!r} is {'missing' if missing else 'not expected'}")
    for name, value in tensors.items():
        if value.shape != own[name].shape:
            raise ModelError(f"{where}: {name} is {list(value.shape)}, not {list(own[name].shape)}")
    model.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})
