"""Coefficients of a detail layer bit by bit, with probabilities mixed from what was coded before.

Whether a coefficient is more than 0, than 1, ... : each such decision has guesses by what the network expects (its
scale) alone, and by the scale and sizes around it: of the same coefficient of the blocks around, of coefficients near
it in its own block, of both farther away; and by its place and both. They are mixed as `entropy/mixing.py` says; what
contexts and weights have learned before they see a picture is part of the layer.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

import numpy as np

from ..entropy.mixing import LOGIT, MOST, RATE_BITS, WEIGHT_BITS, logits, probabilities, rates
from ..entropy.range_coder import FREQUENCY_BITS, RangeDecoder, RangeEncoder
from ..kernels import family, ready
from ..vision.block_arrays import COEFFICIENTS, COLORS, SIDE, matrices
from ..vision.dependent_steps import following
from ..vision.detail_shapes import BANDS, CLASSES, DECISIONS, GUESSES

Array = np.ndarray
LIMIT = 127  # bits that a context counts
BEGIN = 30  # that it has counted before the first one
REST_BITS = 12  # of what is more than the largest symbol
BOUNDS = (1, 2, 3, 5, 8, 13, 21)  # of sums of sizes, from which on a class is the next
TIMES = (2, 2, 1, 2, 3)  # how much each of the coefficients near counts
BIAS = 64  # the last guess
MOST_BYTES = 32  # of a coefficient


@cache
def near_coefficients() -> Array:
    """Of each coefficient those near it, -1 for none: one lower up and down, one lower across, both, the same of
    brightness, the same of the first colour beside brightness. int64 [192, 5]."""
    _, _, order, back = matrices()
    found = np.full((COEFFICIENTS, 5), -1, np.int64)
    size = SIDE * SIDE
    for c in range(COEFFICIENTS):
        color, place = divmod(c, size)
        row, column = divmod(int(order[place]), SIDE)
        for k, (up, left) in enumerate(((1, 0), (0, 1), (1, 1))):
            if row >= up and column >= left:
                found[c, k] = size * color + back[SIDE * (row - up) + column - left]
        if color:
            found[c, 3] = place
        if color == COLORS - 1:
            found[c, 4] = c - size
    return found


class CoefficientBits:
    """Codes passes of coefficients of one part of a picture, one after the other.

    Args:
        numbers: decisions, chances, and weights of guesses ("mixing"), see `detail_shapes.shapes_of`.
        shape: of the blocks, [2 h, 2 w].
        limit, begin: of counts; others than the usual ones to learn.
    """

    def __init__(
        self, numbers: tuple[Array, Array, Array], shape: tuple[int, int], limit: int = LIMIT, begin: int = BEGIN
    ):
        decisions, chances, weights = numbers
        self.decisions, self.chances = decisions.astype(np.int64), chances.astype(np.int64)
        self.weights, self.counts = weights.astype(np.int64), np.full(len(chances), begin, np.int64)
        self.seen = np.zeros((*shape, COEFFICIENTS), np.int16)
        self.rates = rates(limit)

    def encode(self, encoder: RangeEncoder, number: int, members: Array, scales: Array, symbols: Array) -> None:
        """Code a pass: scales and symbols [2 h, 2 w, n]."""
        self._through(encoder, None, number, members, scales, np.ascontiguousarray(symbols, np.int16))

    def decode(self, decoder: RangeDecoder, number: int, members: Array, scales: Array) -> tuple[Array, Array]:
        """The next pass: symbols, and what they stand for in half steps, int16 [2 h, 2 w, n] both."""
        symbols = np.zeros(scales.shape, np.int16)
        return symbols, self._through(None, decoder, number, members, scales, symbols)

    def _through(
        self, encoder: RangeEncoder | None, decoder: RangeDecoder | None, number: int, members: Array, scales: Array,
        symbols: Array,
    ) -> Array:  # fmt: skip
        kernels, levels = family("detail_bits"), np.zeros(symbols.shape, np.int16)
        coder = encoder or decoder
        assert coder is not None
        if kernels is None:
            machine = 0
            for i, rows in enumerate(zip(scales, symbols, levels)):
                machine = self._row(coder, machine, i, number, members.tolist(), *rows)
            return levels
        members, weights = ready(members, np.int64), ready(self.weights[number], np.int64)
        tables = following(), ready(self.decisions, np.int64), probabilities(), logits(), self.rates
        if decoder is not None:
            s = np.array([decoder.code, decoder.range, 0, 0, decoder.position, 1, 0], np.int64)
            data = np.frombuffer(bytes(decoder.data), np.uint8).copy()
        else:
            assert encoder is not None
            s = np.array([encoder.low, encoder.range, encoder.cache, encoder.pending, 0, 0, 0], np.int64)
        for i in range(len(scales)):
            if encoder is not None:
                s[4] = 0
                data = np.empty(MOST_BYTES * symbols[i].size + int(s[3]) + 8, np.uint8)
            kernels.code_row(
                i, members, near_coefficients(), ready(scales[i], np.int64), symbols[i], levels[i], self.seen, *tables,
                self.chances, self.counts, weights, REST_BITS, s, data,
            )  # fmt: skip
            if encoder is not None:
                encoder.out += data[: int(s[4])].tobytes()
        self.weights[number] = weights
        if decoder is not None:
            decoder.code, decoder.range, decoder.position = int(s[0]), int(s[1]), int(s[4])
        elif encoder is not None:
            encoder.low, encoder.range, encoder.cache, encoder.pending = s[:4].tolist()
        return levels

    def _row(
        self, coder: RangeEncoder | RangeDecoder, machine: int, i: int, number: int, members: list[int], scales: Array,
        symbols: Array, levels: Array,
    ) -> int:  # fmt: skip
        """Code a row of blocks, [2 w, n]; gives the state of the quantizers behind it."""
        after, near, most = following().tolist(), near_coefficients(), self.decisions.shape[1]
        reads = isinstance(coder, RangeDecoder)
        for j in range(len(scales)):
            for k, c in enumerate(members):
                if scales[j, k] < 0:
                    continue
                scale = min(int(scales[j, k]), len(self.decisions) // 2 - 1)
                classes = self._classes(i, j, c, near[c].tolist())
                value = int(symbols[j, k])
                size, d = abs(value), 0
                while d < most:
                    bit = self._decision(coder, number, machine >> 2, scale, c, d, classes, int(size > d))
                    if not bit:
                        break
                    d += 1
                size = d if reads else size
                if d == most:
                    size = most + coder.raw(size - most, REST_BITS)
                negative = bool(size) and coder.raw(int(value < 0), 1)
                value = -size if negative else size
                symbols[j, k] = self.seen[i, j, c] = value
                levels[j, k] = np.sign(value) * max(2 * size - (machine >> 2), 0)
                machine = after[machine][size & 1]
        return machine

    def _classes(self, i: int, j: int, c: int, near: list[int]) -> tuple[int, int, int]:
        """Classes of the sizes beside, inside and farther away of a coefficient."""

        def size(down: int, across: int, which: int) -> int:
            if i < down or not 0 <= j - across < self.seen.shape[1] or which < 0:
                return 0
            return abs(int(self.seen[i - down, j - across, which]))

        sides = 2 * size(0, 1, c) + 2 * size(1, 0, c) + size(1, 1, c) + size(1, -1, c)
        inside = sum(times * size(0, 0, other) for times, other in zip(TIMES, near))
        wide = 2 * size(0, 2, c) + 2 * size(2, 0, c) + sum(size(0, 1, n) + size(1, 0, n) for n in near[:2])
        return bisect_right(BOUNDS, sides), bisect_right(BOUNDS, inside), bisect_right(BOUNDS, wide)

    def _decision(
        self, coder: RangeEncoder | RangeDecoder, number: int, quantizer: int, scale: int, c: int, d: int,
        classes: tuple[int, int, int], bit: int,
    ) -> int:  # fmt: skip
        """Code whether a size is more than d; gives it back."""
        tables, row = len(self.decisions) // 2, min(d, DECISIONS - 1)
        share = 2 * DECISIONS * tables * CLASSES
        place = ((row * 2 + quantizer) * tables + scale) * CLASSES
        index = [k * share + place + near for k, near in enumerate(classes)]
        index.append(len(classes) * share + (row * COEFFICIENTS + c) * CLASSES + (classes[0] + classes[1] >> 1))
        index.append(
            len(classes) * share + CLASSES * (DECISIONS * COEFFICIENTS + 64 * row + 8 * classes[0] + classes[1])
        )
        index[-1] += classes[2]
        chances = [int(self.chances[n]) for n in index]
        known, odds = logits(), probabilities()
        guesses = [int(known[chance >> 4]) for chance in chances]
        guesses += [int(self.decisions[quantizer * tables + scale, d]), BIAS]
        weights = self.weights[number, row, scale * BANDS // tables]
        total = sum(int(weight) * guess for weight, guess in zip(weights, guesses)) >> WEIGHT_BITS
        likely = int(odds[min(max(total, -MOST), MOST) + MOST])
        bit = _coded(coder, likely, bit)
        error = (bit << FREQUENCY_BITS) - likely
        for t in range(GUESSES):
            weights[t] += guesses[t] * error + (1 << WEIGHT_BITS - 1) >> WEIGHT_BITS
        for n, chance in zip(index, chances):
            self.chances[n] += (bit * 65535 - chance) * int(self.rates[self.counts[n]]) >> RATE_BITS
            self.counts[n] = min(self.counts[n] + 1, len(self.rates) - 1)
        return bit


def _coded(coder: RangeEncoder | RangeDecoder, likely: int, bit: int) -> int:
    """Code a bit that is 1 with a probability of `likely` / 2^15; gives it back."""
    rest = (1 << FREQUENCY_BITS) - likely
    if isinstance(coder, RangeEncoder):
        coder.encode_symbol(0 if bit else likely, likely if bit else rest, FREQUENCY_BITS)
        return bit
    bit = int(coder.peek(FREQUENCY_BITS) < likely)
    coder.consume(0 if bit else likely, likely if bit else rest, FREQUENCY_BITS)
    return bit


def size_chances(decisions: Array) -> Array:
    """Probabilities of each size by the scale alone, float64 [2 S, M + 1]."""
    more = 1 / (1 + np.exp(-decisions / LOGIT))
    reached = np.concatenate([np.ones((len(decisions), 1)), more.cumprod(1)], 1)
    less = np.concatenate([1 - more, np.ones((len(decisions), 1))], 1)
    chances: Array = reached * less
    return chances


def size_bits(decisions: Array) -> Array:
    """Bits of each size by the scale alone, with its sign and what is more than the largest, float64 [2 S, M + 1]."""
    bits: Array = -np.log2(size_chances(decisions))
    bits[:, 1:] += 1
    bits[:, -1] += REST_BITS
    return bits
