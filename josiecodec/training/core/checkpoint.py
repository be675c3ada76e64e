"""Everything a run needs to go on exactly where it stopped, in one safetensors file and one JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ...atomic import write_bytes
from ...errors import ModelError


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and all buffers, those too that do not ship (statistics of codebooks)."""
    tensors: dict[str, Tensor] = dict(module.named_parameters())
    tensors.update({name: b for name, b in module.named_buffers() if not name.endswith(("window", "mel"))})
    return tensors


def pack(
    modules: dict[str, nn.Module], optimizers: dict[str, torch.optim.Optimizer], extra: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Flat name -> tensor of all that changes in training."""
    out = {f"extra/{name}": value for name, value in extra.items()}
    for key, module in modules.items():
        out.update({f"{key}/{name}": value for name, value in module_tensors(module).items()})
    for key, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            out.update({f"{key}/{index}/{name}": torch.as_tensor(v) for name, v in state.items()})
    return {name: value.detach().cpu().contiguous().clone() for name, value in out.items()}


def unpack(
    tensors: dict[str, Tensor], modules: dict[str, nn.Module], optimizers: dict[str, torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """Put `pack`ed tensors back in place; returns the extra ones.

    Raises:
        ModelError: if a module's tensor is missing or of another shape.
    """
    for key, module in modules.items():
        for name, value in module_tensors(module).items():
            stored = tensors.get(f"{key}/{name}")
            if stored is None or stored.shape != value.shape:
                raise ModelError(f"checkpoint does not fit the model: {key}/{name}")
            with torch.no_grad():
                value.copy_(stored)
    for key, optimizer in optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(f"{key}/"):
                _, index, field = name.split("/", 2)
                state.setdefault(int(index), {})[field] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    return {name[6:]: value for name, value in tensors.items() if name.startswith("extra/")}


def write(folder: Path, tensors: dict[str, Tensor], meta: dict[str, Any], name: str = "checkpoint") -> None:
    """Write a checkpoint; an interruption leaves the previous one whole."""
    write_bytes(folder / f"{name}.safetensors", safetensors.torch.save(tensors, {"meta": json.dumps(meta)}))


def read(folder: Path, name: str = "checkpoint") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint.

    Raises:
        ModelError: if there is none or it is damaged.
    """
    path = folder / f"{name}.safetensors"
    try:
        with safetensors.safe_open(str(path), "pt") as f:
            meta = json.loads(f.metadata()["meta"])
            names = f.keys()
            return {key: f.get_tensor(key) for key in names}, meta
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: no checkpoint that can be read ({error})") from None
