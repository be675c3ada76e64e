"""Finding, loading and saving models: `config.json` beside `model.safetensors`, never a pickle.

`encoder.json` beside them has the encoder settings, which are no part of a model's identity (`config_files.py`). A Mimi
is also read, and written, in the two layouts in which it is published (`mimi_weights.py`). Repositories of the Hugging
Face hub, `hf:org/repo`, are fetched by `remote.py`.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch.nn.utils import parametrize

from ..atomic import write_bytes
from ..coding.codec import Origin, TokenCodec
from ..coding.jodio import Jodio
from ..coding.jovio import Jovio
from ..entropy.tables_file import read_tables
from ..errors import CodecError, ModelError
from ..fingerprint import CONFIG_FILE, ENCODER_FILE, TABLES_FILE, of_tensors
from ..nn.conv import fold_weight_norm, restore_weight_norm
from ..shipped import find_local, fingerprint_of
from ..weight_files import WEIGHTS_FILE, tables_file, weights_bytes
from .allocation import AllocationLimit
from .config_files import (
    TYPES,
    Config,
    Layout,
    config_alone,
    config_bytes,
    encoder_bytes,
    json_bytes,
    layout_of,
    read_config,
)
from .mimi_config import is_mimi, read_mimi_config, write_mimi_config
from .mimi_weights import write_layout
from .remote import PREFIX, fetch
from .tensor_names import file_name
from .tensors import exact_in, file_bytes, for_model, measure, plain_tensors, read_tensors

KYUTAI_FILE = "mimi.safetensors"
# What transformers' feature extractor for Mimi wants to know.
EXTRACTOR = {
    "feature_extractor_type": "EncodecFeatureExtractor",
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": True,
}
ShippedAudio = Literal["jodio-24k-v4", "jodio-24k-v3", "jodio-24k-v2", "jodio-24k"]
ShippedVision = Literal[
    "jovio-16-v7", "jovio-16-v6", "jovio-16-v5", "jovio-16-v4", "jovio-16-v3", "jovio-16-v2", "jovio-16"
]
CODECS: dict[str, type[TokenCodec]] = {"jodio": Jodio, "jovio": Jovio}


@overload
def load(name: ShippedAudio = ..., device: str | torch.device = ...) -> Jodio: ...
@overload
def load(name: ShippedVision, device: str | torch.device = ...) -> Jovio: ...
@overload
def load(name: str | Path, device: str | torch.device = ..., revision: str | None = ...) -> Any: ...
def load(name: str | Path = "jodio-24k-v4", device: str | torch.device = "cpu", revision: str | None = None) -> Any:
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
    model, _, origin = _read(place)
    fold_weight_norm(model)
    model.origin = origin
    tables = tables_file(place)
    if tables.is_file():
        model.tables = read_tables(tables)
    model.saved_fingerprint = _fingerprint(model, place)
    return model.eval().requires_grad_(False).to(device)


def load_for_training(name: str | Path) -> Any:
    """Load a model with all its parameters trainable, and its weight norm, as `training` continues from.

    Raises:
        ModelError: as `load`.
    """
    model, normed, _ = _read(find(name))
    restore_weight_norm(model, normed)
    return model


def _read(place: Path) -> tuple[Any, list[str], Origin | None]:
    """The model in a place, the names of its parts that are trained with weight norm, and its files of our layout."""
    layout, config = layout_of(place), read_config(place)
    where = place if place.is_file() else place / WEIGHTS_FILE
    weights = where if where.is_file() else weights_bytes(place)
    numbers, dtype = measure(weights)
    with AllocationLimit(numbers), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's on tensors without elements; they do not fit below
        model = _made(config, place)
    normed = [name for name, part in model.named_modules() if parametrize.is_parametrized(part, "weight")]
    model.load_state_dict(for_model(model, read_tensors(weights), layout, where))
    if layout != "josiecodec":
        return model, normed, None
    return model, normed, Origin(config_alone(place), (place / CONFIG_FILE).read_bytes(), dtype)


def _made(config: Config, place: Path) -> Any:
    """A model with this configuration."""
    try:
        return next(CODECS[kind] for kind, made in TYPES.items() if isinstance(config, made))(config)
    except (CodecError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        raise ModelError(f"{place}: no model can be made of this configuration ({error})") from None


def find(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model, or the file of one in Kyutai's layout.

    Raises:
        ModelError: if there is none.
    """
    if str(name).startswith(PREFIX):
        return fetch(str(name), revision)
    if revision is not None:
        raise ModelError(f"{name}: only repositories ({PREFIX}org/repo) have revisions")
    place = find_local(name)
    assert place is not None
    return place


def save(
    model: TokenCodec,
    folder: str | Path,
    dtype: torch.dtype = torch.float16,
    layout: Layout = "josiecodec",
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
    folder, tensors = Path(folder), plain_tensors(model)
    config = dataclasses.replace(model.config, encoding=model.settings)
    assumed = None  # encoder settings that hold without `encoder.json`
    metadata = None
    if layout == "josiecodec":
        tensors = {file_name(name): value for name, value in tensors.items()}
        config_file = config_bytes(config)
        if model.origin is not None and _same_model(config, model.origin.config):
            config_file, assumed = model.origin.config_file, model.origin.config.encoding
    else:
        tensors = write_layout(tensors, config, layout)
        values = write_mimi_config(config)
        assumed = read_mimi_config(values).encoding
        config_file = json_bytes(values | {"dtype": str(dtype).removeprefix("torch.")})
        metadata = {"format": "pt"} if layout == "transformers" else None
    data = file_bytes(tensors, dtype, metadata)
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "kyutai":
        write_bytes(folder / KYUTAI_FILE, data)
        return folder / KYUTAI_FILE
    encoder_file = None if config.encoding == assumed else encoder_bytes(config.encoding)
    write_bytes(folder / WEIGHTS_FILE, data)
    _write_or_remove(folder / TABLES_FILE, None if model.tables is None else model.tables.data)
    _write_or_remove(folder / ENCODER_FILE, encoder_file)
    if layout == "transformers":
        extractor = EXTRACTOR | {"sampling_rate": model.config.sample_rate}
        write_bytes(folder / "preprocessor_config.json", json_bytes(extractor))
    write_bytes(folder / CONFIG_FILE, config_file)
    return folder


def save_pretrained(model: TokenCodec, folder: str | Path, layout: Layout = "josiecodec") -> Path:
    """`save` without any loss: in the type of the file that it was loaded from, else as float16 or float32.

    In our own layout a model that was loaded keeps its fingerprint.
    """
    if layout != "josiecodec":
        return save(model, folder, torch.float32, layout)
    tensors = plain_tensors(model)
    types = ([] if model.origin is None else [model.origin.dtype]) + [torch.float16]
    return save(model, folder, next((dtype for dtype in types if exact_in(dtype, tensors)), torch.float32))


def copy(name: str | Path, folder: str | Path, layout: Layout = "josiecodec") -> tuple[Path, str]:
    """`load`, then `save_pretrained`; where both layouts are ours, the very bytes of the files.

    Returns:
        what was written, as `save` says it, and its fingerprint.

    Raises:
        ModelError: as `load` and `save`.
    """
    place, folder = find(name), Path(folder)
    model = load(place)
    if layout != "josiecodec" or layout_of(place) != "josiecodec":
        written = save_pretrained(model, folder, layout)
        if layout == "kyutai":
            model.tables = None  # one file has no room for them
        return written, _fingerprint(model, written)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / WEIGHTS_FILE, weights_bytes(place))
    for file in (TABLES_FILE, ENCODER_FILE, CONFIG_FILE):
        source = tables_file(place) if file == TABLES_FILE else place / file
        _write_or_remove(folder / file, source.read_bytes() if source.is_file() else None)
    return folder, model.fingerprint


def _write_or_remove(path: Path, data: bytes | None) -> None:
    """Write a file, or take away that of another model."""
    if data is None:
        path.unlink(missing_ok=True)
    else:
        write_bytes(path, data)


def _same_model(a: Config, b: Config) -> bool:
    """Whether two configurations differ in nothing but encoder settings."""
    return isinstance(b, type(a)) and dataclasses.replace(a, encoding=b.encoding) == b


def _fingerprint(model: TokenCodec, place: Path) -> str:
    """sha256 (hex) of a loaded model: of the bytes of its files; of a Mimi, the same in every layout."""
    if not isinstance(model, Jodio) or not is_mimi(model.config):
        return fingerprint_of(place)
    try:
        values = write_mimi_config(model.config)
    except ModelError:  # one that only our layout can describe
        return fingerprint_of(place)
    tables = b"" if model.tables is None else model.tables.data
    return of_tensors(write_layout(plain_tensors(model), model.config, "transformers"), values, tables)
