"""Coefficients of a detail layer: choosing them, and their bytes.

Coefficients whose expected scale is below the first one are zero without being coded. Payload: one byte with the index
of the step, one with the strength of the matrix if the layer knows some, then the range coder's bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..entropy.range_coder import FREQUENCY_BITS, RangeDecoder, RangeEncoder, check_end
from ..errors import FormatError
from ..vision.block_arrays import COEFFICIENTS, COLORS
from ..vision.detail_network import DetailNetwork
from ..vision.detail_shapes import MAX_SYMBOL, SHRINK
from ..vision.detail_steps import STEPS, DetailSteps
from .picture_network import DetailNumbers

REST_BITS = 12  # of what is more than the largest symbol
MAX_SIZE = MAX_SYMBOL + (1 << REST_BITS) - 1
BRIGHTNESS = COEFFICIENTS // COLORS  # of these there are so many coefficients, the first ones
ZERO = MAX_SYMBOL  # index of the symbol for 0


@dataclass(frozen=True)
class ChosenDetail:
    """Coefficients that an encoder has chosen.

    Attributes:
        steps: of them.
        symbols: int16 [2 h, 2 w, 192], in units of their steps.
        bits: that they take, about.
        streams: of each pass the table of each coefficient that is coded, and the coefficient.
    """

    steps: DetailSteps
    symbols: np.ndarray
    bits: float
    streams: list[tuple[np.ndarray, np.ndarray]]


class DetailCoder:
    """Codes coefficients of a layer whose numbers stay as they are.

    Args:
        layer: of the model.
        grey: whether pictures are greys: coefficients of colours are zero without being coded.

    Raises:
        ModelError: if its network could not be exact.
        FormatError: if its frequencies do not add up.
    """

    def __init__(self, layer: DetailNumbers, grey: bool = False):
        self.grey = grey
        self.network: DetailNetwork = layer.network()
        self.passes, self.strengths = layer.passes, layer.config.strengths
        self._head = 1 if self.strengths == 1 else 2  # bytes before those of the range coder
        frequencies = layer.numbers("frequencies").astype(np.int64)
        if int(frequencies.min()) < 1 or not bool((frequencies.sum(1) == 1 << FREQUENCY_BITS).all()):
            raise FormatError("the frequencies of a detail layer do not add up")
        self.frequencies = frequencies
        self.scales = len(frequencies)
        self.cumulative = np.concatenate([np.zeros((self.scales, 1), np.int64), frequencies.cumsum(1)], 1)
        self._tables = self.cumulative.tolist()
        self.bits = FREQUENCY_BITS - np.log2(frequencies)
        self.bits[:, [0, -1]] += REST_BITS

    def choose(
        self,
        latents: np.ndarray,
        counts: np.ndarray,
        wanted: np.ndarray,
        steps: DetailSteps,
        bit_price: np.ndarray | float,
        skipped: np.ndarray | None = None,
        spread: np.ndarray | None = None,
    ) -> ChosenDetail:
        """Choose coefficients by rate and distortion: each the one of two that makes error + price x bits least.

        Args:
            latents, counts: of the base, as `DetailNetwork.scales` takes them.
            wanted: float [2 h, 2 w, 192], coefficients in units of their steps.
            steps: of the coefficients.
            bit_price: of a bit, in units of the coefficient's step squared: the same for all, or an array that
                broadcasts to that of the coefficients.
            skipped: bool [2 h, 2 w], blocks that nothing is coded of.
            spread: float [2 h, 2 w], to which the bits of each block are added, about.
        """
        symbols = np.zeros(wanted.shape, np.int16)
        price = np.broadcast_to(bit_price, wanted.shape)
        total, streams = 0.0, []
        for members, (scales, into) in zip(self.passes, self.network.scales(latents, counts, steps)):
            self._leave_out(scales, members, skipped)
            x = wanted[..., members]
            size = np.abs(x)
            coded = (scales >= 0) & (size > 0.5)
            table = scales[coded].clip(0, self.scales - 1)
            chosen, bits = self._nearer(size[coded], table, price[..., members][coded])
            found = np.zeros(x.shape, np.int64)
            found[coded] = np.where(x[coded] < 0, -chosen, chosen)
            zeros = (scales >= 0) & ~coded
            total += float(bits.sum() + self.bits[scales[zeros].clip(0, self.scales - 1), ZERO].sum())
            into[...] = found
            symbols[..., members] = found
            if spread is not None:
                taken = np.where(zeros, self.bits[scales.clip(0, self.scales - 1), ZERO], 0.0)
                taken[coded] = bits
                spread += taken.sum(-1)
            there = scales >= 0
            streams.append((scales[there].clip(0, self.scales - 1), found[there]))
        return ChosenDetail(steps, symbols, total, streams)

    def _leave_out(self, scales: np.ndarray, members: np.ndarray, skipped: np.ndarray | None) -> None:
        """Mark what is not coded."""
        if skipped is not None:
            scales[skipped] = -1
        if self.grey:
            scales[..., members >= BRIGHTNESS] = -1

    def _nearer(self, size: np.ndarray, table: np.ndarray, bit_price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the sizes [N] next above and below: the better one, and the bits that it takes."""
        above = np.floor(size + 0.5).clip(1, MAX_SIZE)
        below = above - 1
        best_cost, best, best_bits = None, below, below
        for candidate in (below, above):
            bits = self.bits[table, ZERO + candidate.clip(0, MAX_SYMBOL).astype(np.int64)]
            cost = np.square(size - candidate + SHRINK * (candidate > 0)) + bit_price * bits
            if best_cost is None:
                best_cost, best, best_bits = cost, candidate, bits
            else:
                better = cost < best_cost
                best, best_bits = np.where(better, candidate, best), np.where(better, bits, best_bits)
        return best.astype(np.int64), best_bits

    def pack(self, detail: ChosenDetail) -> bytes:
        """The bytes of coefficients."""
        encoder = RangeEncoder()
        for table, values in detail.streams:
            symbols = values.clip(-MAX_SYMBOL, MAX_SYMBOL) + ZERO
            encoder.encode_symbols(
                self.cumulative[table, symbols].tolist(), self.frequencies[table, symbols].tolist(), FREQUENCY_BITS
            )
            rest = np.abs(values)[np.abs(values) >= MAX_SYMBOL] - MAX_SYMBOL
            encoder.encode_symbols(rest.tolist(), [1] * len(rest), REST_BITS)
        head = [detail.steps.index, detail.steps.strength][: self._head]
        return bytes(head) + encoder.finish()

    def unpack(
        self, latents: np.ndarray, counts: np.ndarray, data: bytes, skipped: np.ndarray | None = None
    ) -> tuple[DetailSteps, np.ndarray]:
        """The inverse of `pack`: steps, and symbols int16 [2 h, 2 w, 192].

        Raises:
            FormatError: if it is not in order.
        """
        if len(data) < self._head or data[0] >= STEPS or (self._head > 1 and data[1] >= self.strengths):
            raise FormatError("a detail layer without a step that there is")
        steps, decoder = DetailSteps(*data[: self._head]), RangeDecoder(data[self._head :])
        h, w = counts.shape
        symbols = np.zeros((2 * h, 2 * w, COEFFICIENTS), np.int16)
        passes: Iterator[tuple[np.ndarray, np.ndarray]] = self.network.scales(latents, counts, steps)
        for members, (scales, into) in zip(self.passes, passes):
            self._leave_out(scales, members, skipped)
            coded = scales >= 0
            table = scales[coded].clip(0, self.scales - 1).tolist()
            values = np.array(decoder.decode_symbols(self._tables, table, FREQUENCY_BITS), np.int64) - ZERO
            large = np.abs(values) == MAX_SYMBOL
            each = [range((1 << REST_BITS) + 1)]
            rest = decoder.decode_symbols(each, [0] * int(large.sum()), REST_BITS)
            values[large] += np.sign(values[large]) * np.array(rest, np.int64)
            into[coded] = values
            symbols[..., members] = into
        check_end(decoder)
        return steps, symbols
