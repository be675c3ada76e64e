"""Coefficients of a detail layer: choosing them, and their bytes.

Coefficients whose expected scale is below the first one are zero without being coded. Payload: one byte with the index
of the step, one with the strength of the matrix if the layer knows some, then the range coder's bytes, which begin with
the shapes of blocks if the layer knows several. A layer that smooths bases, too, has nothing but the first bytes where
there are no coefficients. With dependent quantization coefficients are chosen by
`detail_trellis.py` and coded by `detail_bits.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..entropy.mixing import CHANCE_BITS, MOST
from ..entropy.range_coder import FREQUENCY_BITS, RangeDecoder, RangeEncoder, check_end
from ..entropy.symbol_arrays import decode_array, encode_array
from ..errors import FormatError
from ..vision.block_arrays import COEFFICIENTS, COLORS
from ..vision.block_shapes import to_shape
from ..vision.detail_network import DetailNetwork
from ..vision.detail_shapes import CODING, MAX_SYMBOL
from ..vision.detail_steps import STEPS, DetailSteps
from .detail_bits import REST_BITS, CoefficientBits, size_bits
from .detail_choice import choose_symbols
from .detail_trellis import choose_dependent
from .picture_network import DetailNumbers
from .shape_map import USUAL_BITS, decode_shapes, encode_shapes, shape_bits

MAX_SIZE = MAX_SYMBOL + (1 << REST_BITS) - 1
BRIGHTNESS = COEFFICIENTS // COLORS  # of these there are so many coefficients, the first ones
ZERO = MAX_SYMBOL  # index of the symbol for 0


@dataclass(frozen=True)
class ChosenDetail:
    """Coefficients that an encoder has chosen.

    Attributes:
        steps: of them.
        symbols: int16 [2 h, 2 w, 192], in units of their steps.
        levels: what they stand for: the same, or half steps with dependent quantization.
        bits: that they take, about.
        passes: of each pass which table each coefficient is coded with, int8 [2 h, 2 w, n]; negative if it is not.
        members: coefficients of each pass.
        shapes: of the blocks of each patch, uint8 [h, w]; None if the layer knows a single one.
    """

    steps: DetailSteps
    symbols: np.ndarray
    levels: np.ndarray
    bits: float
    passes: list[np.ndarray]
    members: tuple[np.ndarray, ...]
    shapes: np.ndarray | None = None

    def streams(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of each pass the table of each coefficient that is coded, and the coefficient."""
        for members, tables in zip(self.members, self.passes):
            there = tables >= 0
            yield tables[there].astype(np.int64), self.symbols[..., members][there].astype(np.int64)


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
        self.shapes = layer.config.shapes if layer.config.shapes > 1 else 0
        self.dependent, self.bases = layer.config.states > 1, layer.config.bases
        self._head = 1 if self.strengths == 1 else 2  # bytes before those of the range coder
        if self.dependent:
            self.scales = layer.config.scales
            decisions, chances, mixing = (layer.numbers(name) for name in CODING[1:])
            self.coding = decisions.astype(np.int64), chances.astype(np.int64), mixing.astype(np.int64)
            _check_coding(*self.coding)
            self.bits = size_bits(self.coding[0])
            return
        frequencies = layer.numbers("frequencies").astype(np.int64)
        if int(frequencies.min()) < 1 or not bool((frequencies.sum(1) == 1 << FREQUENCY_BITS).all()):
            raise FormatError("the frequencies of a detail layer do not add up")
        self.frequencies = frequencies
        self.scales = len(frequencies)
        self.cumulative = np.concatenate([np.zeros((self.scales, 1), np.int64), frequencies.cumsum(1)], 1)
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
        shapes: np.ndarray | None = None,
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
            shapes: of the blocks of each patch, uint8 [h, w], if the layer knows several.
        """
        if self.shapes and shapes is None:
            shapes = np.zeros(counts.shape, np.uint8)
        symbols = np.zeros(wanted.shape, np.int16)
        levels = np.zeros(wanted.shape, np.int16) if self.dependent else symbols
        flat, price = _blocks(wanted), _blocks(np.broadcast_to(bit_price, wanted.shape))
        spent, cost = np.zeros(len(flat)), np.zeros(len(flat))
        tables = []
        for members, (scales, into) in zip(self.passes, self.network.scales(latents, counts, steps, shapes)):
            self._leave_out(scales, members, skipped)
            here = flat, members, scales.reshape(len(flat), -1), price, self.bits, MAX_SIZE, (spent, cost)
            if self.dependent:
                path = choose_dependent(*here)
                found, levels[..., members] = path.symbols, path.levels.reshape(scales.shape)
            else:
                found = choose_symbols(*here)
            into[...] = symbols[..., members] = found.reshape(scales.shape)
            tables.append(scales.clip(-1, self.scales - 1).astype(np.int8))
        if spread is not None:
            spread += spent.reshape(spread.shape)
        total = float(spent.sum())
        if self.shapes:
            assert shapes is not None
            total += shape_bits(shapes, _patches(skipped))[0]
        return ChosenDetail(steps, symbols, levels, total, tables, self.passes, shapes if self.shapes else None)

    def shapes_for(
        self,
        latents: np.ndarray,
        counts: np.ndarray,
        wanted: np.ndarray,
        steps: DetailSteps,
        bit_price: np.ndarray,
        skipped: np.ndarray | None = None,
    ) -> np.ndarray | None:
        """The shape of the blocks of each patch that makes error over price + bits least, uint8 [h, w]; None if the
        layer knows a single one.

        Args:
            wanted: float [2 h, 2 w, 192], coefficients of blocks of 8 x 8 in units of 8-bit pixels.
            latents, counts, steps, bit_price, skipped: as of `choose`.
        """
        if not self.shapes:
            return None
        none = np.zeros(counts.shape, np.uint8)
        sizes = steps.sizes().astype(np.float32)
        price = _blocks(np.broadcast_to(bit_price, wanted.shape))
        costs = np.zeros((self.shapes, len(price)))
        spent = np.zeros(len(price))
        flat = [_blocks((to_shape(wanted, k) if k else wanted) / sizes) for k in range(self.shapes)]
        either = (
            np.concatenate([self.bits[: self.scales, :0:-1], self.bits[: self.scales]], 1)
            if self.dependent
            else self.bits
        )
        heads: list[np.ndarray] = []
        for number, (scales, into) in enumerate(self.network.scales(latents, counts, steps, none, heads)):
            members = self.passes[number]
            for k in range(self.shapes):
                here = scales if not k else self.network.shaped(heads[number], none + np.uint8(k), steps, number)
                self._leave_out(here, members, skipped)
                found = choose_symbols(
                    flat[k], members, here.reshape(len(price), -1), price, either, MAX_SIZE, (spent, costs[k])
                )
                if not k:
                    into[...] = found.reshape(scales.shape)
        h, w = counts.shape
        each = costs.reshape(self.shapes, h, 2, w, 2).sum((2, 4))
        bits = np.array(USUAL_BITS[: self.shapes])
        for _ in range(2):
            chosen = (each + bits[:, None, None]).argmin(0).astype(np.uint8)
            if skipped is not None:
                chosen[_patches(skipped)] = 0
            bits = shape_bits(chosen, _patches(skipped))[1]
        return chosen

    def _leave_out(self, scales: np.ndarray, members: np.ndarray, skipped: np.ndarray | None) -> None:
        """Mark what is not coded."""
        if skipped is not None:
            scales[skipped] = -1
        if self.grey:
            scales[..., members >= BRIGHTNESS] = -1

    def pack(self, detail: ChosenDetail, counts: np.ndarray, skipped: np.ndarray | None = None) -> bytes:
        """The bytes of coefficients beside a base with these level counts [h, w]."""
        encoder = RangeEncoder()
        if detail.shapes is not None:
            encode_shapes(encoder, detail.shapes, counts, _patches(skipped))
        head = [detail.steps.index, detail.steps.strength][: self._head]
        if self.dependent:
            coder = CoefficientBits(self.coding, detail.symbols.shape[:2])
            for number, (members, tables) in enumerate(zip(detail.members, detail.passes)):
                coder.encode(encoder, number, members, tables.astype(np.int64), detail.symbols[..., members])
            return bytes(head) + encoder.finish()
        for table, values in detail.streams():
            symbols = values.clip(-MAX_SYMBOL, MAX_SYMBOL) + ZERO
            encode_array(encoder, self.cumulative[table, symbols], self.frequencies[table, symbols], FREQUENCY_BITS)
            rest = np.abs(values)[np.abs(values) >= MAX_SYMBOL] - MAX_SYMBOL
            encoder.encode_symbols(rest.tolist(), [1] * len(rest), REST_BITS)
        return bytes(head) + encoder.finish()

    def without(self, steps: DetailSteps) -> bytes:
        """The bytes of no coefficients, of a layer that smooths bases."""
        return bytes([steps.index, steps.strength][: self._head])

    def unpack(
        self, latents: np.ndarray, counts: np.ndarray, data: bytes, skipped: np.ndarray | None = None
    ) -> tuple[DetailSteps, np.ndarray, np.ndarray | None]:
        """The inverse of `pack`: steps, levels int16 [2 h, 2 w, 192], and shapes of blocks as `ChosenDetail` has them.

        Raises:
            FormatError: if it is not in order.
        """
        if len(data) < self._head or data[0] >= STEPS or (self._head > 1 and data[1] >= self.strengths):
            raise FormatError("a detail layer without a step that there is")
        steps, decoder = DetailSteps(*data[: self._head]), RangeDecoder(data[self._head :])
        h, w = counts.shape
        levels = np.zeros((2 * h, 2 * w, COEFFICIENTS), np.int16)
        if self.bases and len(data) == self._head:
            return steps, levels, np.zeros(counts.shape, np.uint8) if self.shapes else None
        coder = CoefficientBits(self.coding, levels.shape[:2]) if self.dependent else None
        shapes = decode_shapes(decoder, counts, _patches(skipped)) if self.shapes else None
        passes: Iterator[tuple[np.ndarray, np.ndarray]] = self.network.scales(latents, counts, steps, shapes)
        for number, (members, (scales, into)) in enumerate(zip(self.passes, passes)):
            self._leave_out(scales, members, skipped)
            if coder is not None:
                into[...], levels[..., members] = coder.decode(decoder, number, members, scales)
                continue
            coded = scales >= 0
            table = scales[coded].clip(0, self.scales - 1)
            values = decode_array(decoder, self.cumulative, table, FREQUENCY_BITS) - ZERO
            large = np.abs(values) == MAX_SYMBOL
            each = [range((1 << REST_BITS) + 1)]
            rest = decoder.decode_symbols(each, [0] * int(large.sum()), REST_BITS)
            values[large] += np.sign(values[large]) * np.array(rest, np.int64)
            into[coded] = values
            levels[..., members] = into
        check_end(decoder)
        return steps, levels, shapes


def _check_coding(decisions: np.ndarray, chances: np.ndarray, mixing: np.ndarray) -> None:
    """Make sure that numbers of mixed probabilities are in their ranges.

    Raises:
        FormatError: if one is not.
    """
    good = int(np.abs(decisions).max()) <= MOST and int(chances.min()) >= 0 and int(chances.max()) < 1 << CHANCE_BITS
    if not good or int(np.abs(mixing).max()) > 1 << 20:
        raise FormatError("the probabilities of a detail layer are out of range")


def _blocks(x: np.ndarray) -> np.ndarray:
    """[2 h, 2 w, n] -> float32 [4 h w, n]."""
    return np.ascontiguousarray(x, np.float32).reshape(-1, x.shape[-1])


def _patches(blocks: np.ndarray | None) -> np.ndarray | None:
    """Blocks [2 h, 2 w] of whole patches -> patches [h, w]."""
    return None if blocks is None else blocks[::2, ::2]
