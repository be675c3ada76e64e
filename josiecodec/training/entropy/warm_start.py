"""A context model that starts from another codec's, when their codes are similar.

That is so where a codec was trained further: codes moved with their encoder, but most still mean what they meant. The
layers and the classes of codes are taken over, and codes are projected on the axes of the old context model.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ...entropy.context_model import ACTIVATION, TABLE, WEIGHT, ContextModel
from ...errors import ModelError
from .config import ContextConfig
from .model import FloatContextModel


@torch.no_grad()
def warm_start(network: ContextModel, books_before: Tensor, books: Tensor) -> FloatContextModel:
    """The context model to train.

    Args:
        network: the context model of a codec.
        books_before: vectors of that codec's codes, as they are summed, [levels, S, D].
        books: those of the codec that the new one is for, deeper levels included or not.

    Raises:
        ModelError: if their sizes differ.
    """
    old = {name: torch.from_numpy(value.astype(np.float64)) for name, value in network.tensors.items()}
    levels, size, width = old["table"].shape
    fits = books.shape[1:] == books_before.shape[1:] and size == books.shape[1]
    if not fits or min(len(books), len(books_before)) < levels:
        raise ModelError("the model of --from has other codebooks")
    embedding = old["table"] * old["into"][:, None] / (ACTIVATION * WEIGHT)
    axes = torch.linalg.lstsq(books_before[:levels].flatten(0, 1).double(), embedding.flatten(0, 1)).solution.to(books)
    config = ContextConfig(levels, width, len(old["around_bias"]), len(old["outer_bias"]))
    net = FloatContextModel(config, books[:levels] @ axes, torch.ones(width), torch.from_numpy(network.members))
    for layer in ("around", "outer", "middle", "to_class", "to_code"):
        part: nn.Linear = getattr(net, layer)
        part.weight.copy_(old[layer] / WEIGHT)
        part.bias.copy_(old[f"{layer}_bias"] / (ACTIVATION * WEIGHT))
    net.before.weight.copy_(old["before"] / WEIGHT)
    for name, unit in (("level", ACTIVATION), ("count", ACTIVATION), ("class_scale", WEIGHT), ("code_scale", WEIGHT)):
        getattr(net, name).copy_(old[name] / unit)
    net.class_bias.copy_(old["class_bias"] / ACTIVATION**2)
    net.code_bias.copy_(old["code_bias"] / (ACTIVATION * TABLE))
    return net
