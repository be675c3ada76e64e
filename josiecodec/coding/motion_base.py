"""Bases of key pictures: from rows of patches, by way of a network of floating-point numbers, to 8-bit planes.

Everything that follows is predicted from them, so a difference of one level between two machines would be carried on
up to the next key picture. Parities of the encoder take it out.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from ..bitstream.exact_rounding import round_alike, round_and_protect
from ..bitstream.patch_payload import PatchRows
from ..nn.streaming import State
from ..vision.motion_planes import Planes, to_float_planes, to_planes
from ..vision.network import JovioNetwork
from .reconstruct import reconstruct


@torch.no_grad()
def base_planes(network: JovioNetwork, rows: PatchRows, height: int, width: int) -> Planes:
    """The base of a key picture without parities, as older files have it."""
    return to_planes(_picture(network, rows, height, width).cpu().numpy())


@torch.no_grad()
def protected_base(network: JovioNetwork, rows: PatchRows, height: int, width: int) -> tuple[Planes, bytes]:
    """The base of a key picture, and the parities that `same_base` wants; without any there cannot be a base."""
    values, shapes = _values(network, rows, height, width)
    rounded, parities = round_and_protect(values)
    return _planes(rounded, shapes), parities


@torch.no_grad()
def same_base(network: JovioNetwork, rows: PatchRows, height: int, width: int, parities: bytes) -> Planes:
    """The base of a key picture as its encoder had it.

    Warns where that cannot be, since this machine computes too differently.

    Raises:
        FormatError: if the parities are not in order.
    """
    values, shapes = _values(network, rows, height, width)
    rounded, alike = round_alike(values, parities)
    if not alike:
        warnings.warn(
            "this machine computes a key picture otherwise than the one that encoded it: the pictures up to the next "
            "one may differ a little",
            stacklevel=2,
        )
    return _planes(rounded, shapes)


def _picture(network: JovioNetwork, rows: PatchRows, height: int, width: int) -> Tensor:
    """Colours [3, H, W]; without the shortened numbers that some devices multiply by default."""
    with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
        group = reconstruct(network, rows, None)
        x = network.synthesize(group.latent[None, None], group.effective_levels[None, None], State())[0, 0, :3]
        return x[:, :height, :width].clamp(0, 1).float()


def _values(
    network: JovioNetwork, rows: PatchRows, height: int, width: int
) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    planes = to_float_planes(_picture(network, rows, height, width).double().cpu().numpy())
    return np.concatenate([p.ravel() for p in planes]), [p.shape for p in planes]


def _planes(rounded: np.ndarray, shapes: list[tuple[int, ...]]) -> Planes:
    y, u, v = np.split(rounded, np.cumsum([np.prod(s) for s in shapes])[:-1])
    return Planes(y.reshape(shapes[0]), u.reshape(shapes[1]), v.reshape(shapes[2]))
