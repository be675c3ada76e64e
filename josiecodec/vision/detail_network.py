"""The network that says how large each coefficient of a detail layer will be, in whole numbers.

    quantized latents -> linear picture -> coefficients of blocks -> logarithms -> hidden -> blocks -> scales of pass 0
                                                   symbols of pass 0 -> + -> hidden -> blocks -> scales of pass 1  ...

Coefficients are coded in passes, low frequencies first; each pass sees those before it, of all blocks around. Encoder
and decoder must get exactly the same scales on every machine. So all numbers are whole, and small enough that single
precision holds every sum of them exactly, in whatever order a library adds up: `DetailNetwork` checks that once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np

from ..errors import ModelError
from ..kernels import family, ready
from .block_arrays import COEFFICIENTS
from .block_shapes import averaged, places
from .detail_steps import DetailSteps

ACTIVATION = 64  # an activation is a whole number, in units of 1 / ACTIVATION
WEIGHT = 256  # a weight, in units of 1 / WEIGHT
UNIT = np.float32(1 / WEIGHT)
LIMIT = 2047  # of the absolute value of activations
EXACT = 1 << 24  # up to which single precision holds all whole numbers
LATENT = 256  # quantized latents, in units of 1 / LATENT
LEVEL = 16  # coefficients of the linear picture, in units of 1 / LEVEL of a step of 8-bit pixels
LOGARITHMS = 1 << 16
NEAR_WHOLE = 1e-6  # many times the error of a logarithm in double precision
PER_SCALE = 32  # activation from one scale to the next
NEAR, FAR = 4, 8  # symbols are seen up to so much, with their sign and without
KEPT_BLOCKS = 1 << 15  # whose first layer is kept
MAX_COUNT = 33  # greater level counts are taken as this one

Array = np.ndarray


@cache
def logarithms() -> Array:
    """log2(1 + i / `LEVEL`) for i = 0, 1, ..., in units of 1 / `ACTIVATION`, by multiplications of whole numbers."""
    power = 2 * ACTIVATION
    one = power * (LEVEL.bit_length() - 1)
    exact = power * np.log2(np.arange(LEVEL, LEVEL + LOGARITHMS, dtype=np.float64))
    bits = np.floor(exact) + 1
    for i in np.flatnonzero(np.abs(exact - np.rint(exact)) < NEAR_WHOLE):  # which rounding could have got wrong
        bits[i] = ((LEVEL + int(i)) ** power).bit_length()
    return ((bits.astype(np.int64) - one) // 2).astype(np.float32)


class DetailNetwork:
    """The network, in whole numbers.

    Args:
        tensors: by name, see `detail_layer.py`.
        passes: which coefficients of a block each pass has.
        blocks: how many blocks come before each pass.

    Raises:
        ModelError: if sums could be too large to be exact.
    """

    def __init__(self, tensors: dict[str, Array], passes: tuple[Array, ...], blocks: tuple[int, ...]):
        self.passes, self.blocks = passes, blocks
        self._n = {name: np.ascontiguousarray(value.astype(np.float32)) for name, value in tensors.items()}
        self._matrix = tensors["matrix"].astype(np.float64)
        self._offset = tensors["offset"].astype(np.float64)
        self._logarithm = logarithms()
        self._entered: list[tuple[Array, Array]] = []  # latents, and what the first layer makes of them
        for name, weight in tensors.items():
            if name.endswith("weight"):
                w = np.abs(weight.astype(np.int64))
                terms = w.sum(0) if name.endswith("depth.weight") else w.sum(1)
                bias = np.abs(tensors[name.removesuffix("weight") + "bias"].astype(np.int64))
                if int((terms * LIMIT + bias).max()) + WEIGHT * LIMIT >= EXACT:
                    raise ModelError(f"detail: {name} is too large for exact sums")

    def scales(
        self,
        latents: Array,
        counts: Array,
        steps: DetailSteps,
        shapes: Array | None = None,
        levels: list[Array] | None = None,
    ) -> Iterator[tuple[Array, Array]]:
        """Go through the passes.

        Args:
            latents: whole numbers [h, w, D], quantized latents of patches in units of 1 / `LATENT`. What the first
                layer makes of them is kept for a while: the same array is to have the same numbers.
            counts: whole numbers [h, w], levels of each patch.
            steps: that coefficients are quantized with.
            shapes: of the blocks of each patch, whole numbers [h, w]; None for 8 x 8, or where there are no others.
            levels: to which what `shaped` takes is added for each pass.

        Yields:
            scales of the coefficients of each pass, int64 [2 h, 2 w, n], and an array of the same shape to be filled
            with their symbols before the next pass is asked for.
        """
        counts = np.minimum(counts.astype(np.int64), MAX_COUNT).repeat(2, 0).repeat(2, 1)
        x = self._first_layer(latents)
        side = self._n["count"][counts] + self._n["step"][steps.known]
        if "strength" in self._n:
            side += self._n["strength"][steps.strength]
        if "shape" in self._n:
            side += self._n["shape"][0 if shapes is None else places(shapes)]
        x = (x + np.floor(side / WEIGHT)).clip(-LIMIT, LIMIT)
        first = 0
        for number, count in enumerate(self.blocks):
            for index in range(first, first + count):
                x = self._block(x, f"blocks.{index}")
            first += count
            level = self._layer(x, f"heads.{number}")
            if levels is not None:
                levels.append(level)
            scales = self.shaped(level, shapes, steps, number)
            symbols = np.zeros(scales.shape, np.int64)
            yield scales, symbols
            if number + 1 < len(self.blocks):
                seen = np.concatenate([symbols.clip(-NEAR, NEAR), np.abs(symbols).clip(0, FAR)], -1)
                x = (x + self._layer(seen.astype(np.float32) * ACTIVATION, f"seen.{number}")).clip(-LIMIT, LIMIT)

    def shaped(self, level: Array, shapes: Array | None, steps: DetailSteps, number: int) -> Array:
        """Scales of the coefficients of a pass, int64 [2 h, 2 w, n], from what its head gives."""
        members, kernels = self.passes[number], family("detail_network")
        if shapes is None or "offsets" not in self._n:
            return np.floor(level / PER_SCALE).astype(np.int64) - steps.shifts()[members]
        offsets = self._n["offsets"][:, members]
        if kernels is not None:
            scales = np.empty(level.shape, np.int64)
            here = ready(level, np.float32), ready(shapes, np.uint8), ready(offsets, np.float32)
            kernels.scales(*here, ready(steps.shifts()[members], np.int64), PER_SCALE, scales)
            return scales
        scales = np.floor((averaged(level, shapes) + offsets[places(shapes)]) / PER_SCALE).astype(np.int64)
        scales -= steps.shifts()[members]
        return scales

    def _first_layer(self, latents: Array) -> Array:
        for known, x in self._entered:
            if known is latents:
                return x
        x = self._layer(self._features(latents), "input")
        entered = [*self._entered, (latents, x)]  # a new list: other threads may go through the one before
        while sum(known.shape[0] * known.shape[1] for _, known in entered) > KEPT_BLOCKS:
            del entered[0]
        self._entered = entered
        return x

    def _features(self, latents: Array) -> Array:
        """Logarithms of the coefficients of the linear picture [2 h, 2 w, 192]."""
        h, w, d = latents.shape
        x = latents.reshape(-1, d).astype(np.float64) @ self._matrix  # large: changed in its place from here on
        kernels = family("detail_network")
        if kernels is not None and x.shape[-1] == 4 * COEFFICIENTS:
            found = np.empty((2 * h, 2 * w, COEFFICIENTS), np.float32)
            kernels.features(x.reshape(h, w, -1), self._offset, LEVEL / (LATENT * WEIGHT), self._logarithm, found)
            return found
        x += self._offset
        x *= LEVEL / (LATENT * WEIGHT)
        x += 0.5
        np.floor(x, out=x)
        most = len(self._logarithm) - 1
        levels = np.clip(x, -most, most, out=x).astype(np.int32)
        levels = levels.reshape(h, w, 2, 2, -1).transpose(0, 2, 1, 3, 4).reshape(2 * h, 2 * w, -1)
        found = self._logarithm[np.abs(levels)]
        return np.negative(found, out=found, where=levels < 0)

    def _layer(self, x: Array, name: str, low: float = -math.inf, high: float = math.inf) -> Array:
        """A layer, rounded down and within bounds."""
        weight, bias = self._n[f"{name}.weight"], self._n[f"{name}.bias"]
        y = x.reshape(-1, x.shape[-1]) @ weight.T
        kernels = family("detail_network")
        if kernels is not None:
            kernels.finish(y, bias, UNIT, low, high)
            return y.reshape(*x.shape[:-1], -1)
        y += bias
        y *= UNIT
        np.floor(y, out=y)
        return (y if math.isinf(high) else np.clip(y, low, high, out=y)).reshape(*x.shape[:-1], -1)

    def _block(self, x: Array, name: str) -> Array:
        y = self._layer(self._depthwise(x, f"{name}.depth"), f"{name}.expand", 0, LIMIT)
        kernels, last = family("detail_network"), f"{name}.contract"
        if kernels is not None:
            y = y.reshape(-1, y.shape[-1]) @ self._n[f"{last}.weight"].T
            kernels.finish_beside(y, self._n[f"{last}.bias"], UNIT, LIMIT, ready(x, np.float32).reshape(y.shape))
            return y.reshape(x.shape)
        y = self._layer(y, last)
        y += x
        return y.clip(-LIMIT, LIMIT, out=y)

    def _depthwise(self, x: Array, name: str) -> Array:
        weight, bias = self._n[f"{name}.weight"], self._n[f"{name}.bias"]  # [9, C]
        h, w, c = x.shape
        kernels = family("detail_network")
        if kernels is not None:
            y = np.empty(x.shape, np.float32)
            kernels.depthwise(ready(x, np.float32), weight, bias, UNIT, LIMIT, y)
            return y
        around = np.zeros((h + 2, w + 2, c), np.float32)
        around[1:-1, 1:-1] = x
        y = np.broadcast_to(bias, x.shape).copy()
        for place in range(9):
            i, j = divmod(place, 3)
            y += around[i : i + h, j : j + w] * weight[place]
        y *= UNIT
        return np.floor(y, out=y).clip(-LIMIT, LIMIT, out=y)
