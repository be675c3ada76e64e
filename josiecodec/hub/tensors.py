"""Tensors of models and of files of weights: names, shapes and types."""

from __future__ import annotations

import math
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import ModelError
from ..nn.conv import fold_weight_norm
from .config_files import Layout
from .mimi_weights import read_layout
from .tensor_names import attribute_name, file_name

# What safetensors calls types.
_FLOATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}


def plain_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a model by the names of its attributes, without weight norm."""
    plain = {name: value for name, value in model.state_dict().items() if ".parametrizations." not in name}
    for name, part in model.named_modules():
        if parametrize.is_parametrized(part, "weight"):
            plain[f"{name}.weight"] = part.weight.detach()
    return plain


def exact_in(dtype: torch.dtype, tensors: dict[str, Tensor]) -> bool:
    """Whether a type holds every floating-point number exactly."""
    return all(torch.equal(v.to(dtype).to(v.dtype), v) for v in tensors.values() if v.is_floating_point())


def file_bytes(tensors: dict[str, Tensor], dtype: torch.dtype, metadata: dict[str, str] | None = None) -> bytes:
    """A safetensors file of tensors by their names in files, the floating-point ones as `dtype`."""
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return safetensors.torch.save(
        {name: value.to(dtype) if value.is_floating_point() else value for name, value in stored.items()}, metadata
    )


def measure(file: Path | bytes) -> tuple[int, torch.dtype]:
    """How many numbers a file has, and the type of its first floating-point tensor, from its header alone.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        if isinstance(file, bytes):  # of the package, see `weight_files.py`
            tensors = safetensors.torch.load(file)
            floats = [t.dtype for t in tensors.values() if t.is_floating_point()]
            return sum(t.numel() for t in tensors.values()), (floats or [torch.float32])[0]
        with safetensors.safe_open(str(file), "pt") as opened:
            parts = [opened.get_slice(name) for name in list(opened.keys())]
            types = [_FLOATS[part.get_dtype()] for part in parts if part.get_dtype() in _FLOATS]
            return sum(math.prod(part.get_shape()) for part in parts), (types or [torch.float32])[0]
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{_name(file)}: cannot be read ({error})") from None


def read_tensors(file: Path | bytes) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        return safetensors.torch.load(file) if isinstance(file, bytes) else safetensors.torch.load_file(str(file))
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{_name(file)}: cannot be read ({error})") from None


def for_model(model: nn.Module, tensors: dict[str, Tensor], layout: Layout, where: Path) -> dict[str, Tensor]:
    """Tensors of a file as `model.load_state_dict` takes them.

    The model loses its weight norm if the file has none.

    Raises:
        ModelError: if a tensor is missing, not expected, or of another shape.
    """
    if layout != "josiecodec" or not any("parametrizations" in name for name in tensors):
        fold_weight_norm(model)
    own = {file_name(name): value for name, value in model.state_dict().items()}
    if layout != "josiecodec":
        try:
            tensors = read_layout(tensors, model.state_dict(), model.config, layout)  # type: ignore[arg-type]
        except ModelError as error:
            raise ModelError(f"{where}: {error}") from None
        tensors = {file_name(name): value for name, value in tensors.items()}
    missing, extra = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    if missing or extra:
        raise ModelError(f"{where}: tensor {(missing or extra)[0]!r} is {'missing' if missing else 'not expected'}")
    for name, value in tensors.items():
        if value.shape != own[name].shape:
            raise ModelError(f"{where}: {name} is {list(value.shape)}, not {list(own[name].shape)}")
    return {attribute_name(name): value.to(own[name].dtype) for name, value in tensors.items()}


def _name(file: Path | bytes) -> str:
    return "weights" if isinstance(file, bytes) else str(file)
