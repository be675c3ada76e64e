"""Bases of key pictures: from rows of patches, by way of a network of floating-point numbers, to 8-bit planes.

Everything that follows is predicted from them, so a difference of one level between two machines would be carried on
up to the next key picture. Parities of the encoder take it out.
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np

from ..bitstream.exact_rounding import CLOSE, TOLERANCE, round_alike, round_and_protect
from ..bitstream.patch_payload import PatchRows
from ..vision.motion_planes import Planes, to_float_planes, to_planes


class KeyNetwork(Protocol):
    """A codec of vision that draws the bases of key pictures, whatever runs its networks."""

    @property
    def codebook_size(self) -> int: ...
    @property
    def detail(self) -> Any:
        """The numbers of its detail layer, or None."""

    def grid(self, height: int, width: int) -> tuple[int, int]: ...

    def key_picture(self, rows: PatchRows, height: int, width: int, base: np.ndarray | None = None) -> np.ndarray:
        """The base of a key picture, or the whole of one with detail: float32 [3, H, W] in [0, 1]. `base` is what the
        latter looks like without that, if it is known: `DecodingNetwork.base`."""


def base_planes(network: KeyNetwork, rows: PatchRows, height: int, width: int) -> Planes:
    """The base of a key picture without parities, as older files have it."""
    return to_planes(network.key_picture(rows, height, width))


def protected_base(
    network: KeyNetwork, rows: PatchRows, height: int, width: int, base: np.ndarray | None = None
) -> tuple[Planes, bytes]:
    """The base of a key picture, and the parities that `same_base` wants; without any there cannot be a base. `base` as
    of `KeyNetwork.key_picture`."""
    values, shapes = _values(network, rows, height, width, base)
    rounded, parities = round_and_protect(values, _tolerance(rows))
    return _planes(rounded, shapes), parities


def same_base(network: KeyNetwork, rows: PatchRows, height: int, width: int, parities: bytes) -> Planes:
    """The base of a key picture as its encoder had it.

    Warns where that cannot be, since this machine computes too differently.

    Raises:
        FormatError: if the parities are not in order.
    """
    values, shapes = _values(network, rows, height, width)
    rounded, alike = round_alike(values, parities, _tolerance(rows))
    if not alike:
        warnings.warn(
            "this machine computes a key picture otherwise than the one that encoded it: the pictures up to the next "
            "one may differ a little",
            stacklevel=2,
        )
    return _planes(rounded, shapes)


def _tolerance(rows: PatchRows) -> float:
    return CLOSE if rows.details else TOLERANCE


def _values(
    network: KeyNetwork, rows: PatchRows, height: int, width: int, base: np.ndarray | None = None
) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    more = () if base is None else (base,)
    planes = to_float_planes(network.key_picture(rows, height, width, *more).astype(np.float64))
    return np.concatenate([p.ravel() for p in planes]), [p.shape for p in planes]


def _planes(rounded: np.ndarray, shapes: list[tuple[int, ...]]) -> Planes:
    y, u, v = np.split(rounded, np.cumsum([np.prod(s) for s in shapes])[:-1])
    return Planes(y.reshape(shapes[0]), u.reshape(shapes[1]), v.reshape(shapes[2]))
