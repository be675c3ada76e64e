"""Pictures as 8-bit planes of luma and half-resolution chroma, and reference pictures at quarter-pixel positions.

All of it that a decoder does is integer arithmetic, so that what is predicted stays in step on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..kernels import family

PATCH, CELL = 16, 8  # pixels a side of a patch, and of a quarter of it, which may have a vector of its own
PAD = 32  # pixels around a reference picture, made of its edges
_TAPS = (  # eight-tap filters at 0, 1/4, 1/2 and 3/4 of a pixel (H.265, section 8.5.3.3.3); sums are 64
    (0, 0, 0, 64, 0, 0, 0, 0),
    (-1, 4, -10, 58, 17, -5, 1, 0),
    (-1, 4, -11, 40, 40, -11, 4, -1),
    (0, 1, -5, 17, 58, -10, 4, -1),
)
_RGB_TO_YUV = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


@dataclass(frozen=True)
class Planes:
    """One picture, edges repeated up to whole patches.

    Attributes:
        y: uint8 [H, W].
        u, v: uint8 [H / 2, W / 2], 128 is grey; samples lie in the middle of four pixels.
    """

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.y.shape[0] // PATCH, self.y.shape[1] // PATCH

    @cached_property
    def reference(self) -> Reference:
        """The same at all quarters of a pixel."""
        return Reference(*(_quarters(p, pad) for p, pad in ((self.y, PAD), (self.u, PAD // 2), (self.v, PAD // 2))))


@dataclass(frozen=True)
class Reference:
    """A picture to predict from, each plane uint8 [16, H + 2 pad, W + 2 pad].

    Plane 4 a + b is the picture a quarters of a pixel further down and b further right; the pad is `PAD` in luma and
    half of it in chroma.
    """

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray


def to_planes(rgb: np.ndarray) -> Planes:
    """A picture float [3, H, W] in [0, 1] as planes (JFIF: full range, BT.601 weights)."""
    return Planes(*(np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in to_float_planes(rgb.astype(np.float32))))


def to_float_planes(rgb: np.ndarray) -> list[np.ndarray]:
    """The same before it is rounded, within 0 to 255."""
    height, width = rgb.shape[-2:]
    rgb = np.pad(rgb, ((0, 0), (0, -height % PATCH), (0, -width % PATCH)), "edge")
    y, u, v = np.tensordot((255 * _RGB_TO_YUV).astype(rgb.dtype), rgb, 1)
    u, v = (0.25 * (c[::2, ::2] + c[1::2, ::2] + c[::2, 1::2] + c[1::2, 1::2]) + 128 for c in (u, v))
    return [np.clip(p, 0, 255) for p in (y, u, v)]


def to_rgb(planes: Planes, height: int, width: int) -> np.ndarray:
    """Planes as a picture float32 [3, height, width] in [0, 1]; chroma is interpolated linearly."""
    kernels = family("motion_planes")
    if kernels is not None:
        y, u, v = (np.ascontiguousarray(p) for p in (planes.y, planes.u, planes.v))
        return np.asarray(kernels.to_rgb(y, u, v, height, width))
    y = planes.y.astype(np.float32)
    u, v = (_doubled(p.astype(np.float32) - 128) for p in (planes.u, planes.v))
    rgb = np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u])
    return np.clip(rgb[:, :height, :width] / 255, 0, 1).astype(np.float32)


def _doubled(x: np.ndarray) -> np.ndarray:
    """Twice as many rows and columns, by weights 3/4 and 1/4."""
    for axis in (0, 1):
        x = np.moveaxis(x, axis, 0)
        before, after = np.concatenate([x[:1], x[:-1]]), np.concatenate([x[1:], x[-1:]])
        out = np.empty((2 * len(x), *x.shape[1:]), np.float32)
        out[0::2], out[1::2] = 0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after
        x = np.moveaxis(out, 0, axis)
    return x


def _quarters(plane: np.ndarray, pad: int) -> np.ndarray:
    """uint8 [H, W] -> uint8 [16, H + 2 pad, W + 2 pad]."""
    kernels = family("motion_field")
    if kernels is not None:
        return np.asarray(kernels.quarters(np.ascontiguousarray(plane), pad, np.array(_TAPS, np.int16)))
    padded = np.pad(plane, pad + 4, "edge").astype(np.int16)
    out = np.empty((4, 4, plane.shape[0] + 2 * pad, plane.shape[1] + 2 * pad), np.uint8)
    for b in range(4):
        across = _filtered(padded, _TAPS[b], out.shape[3], 1).astype(np.int16)
        for a in range(4):
            out[a, b] = _filtered(across, _TAPS[a], out.shape[2], 0)
    return out.reshape(16, *out.shape[2:])


def _filtered(x: np.ndarray, taps: tuple[int, ...], size: int, axis: int) -> np.ndarray:
    """Filter along an axis and round to bytes; what 8 bits of input can sum up to fits 16 bits."""
    parts = [(slice(None),) * axis + (slice(1 + i, 1 + i + size),) for i in range(8)]
    if taps[3] == 64:
        return x[parts[3]].astype(np.uint8)
    total = np.full_like(x[parts[0]], 32)
    term = np.empty_like(total)
    for part, tap in zip(parts, taps):
        if tap:
            total += np.multiply(x[part], np.int16(tap), out=term)
    total >>= 6
    return np.clip(total, 0, 255, out=total).astype(np.uint8)
