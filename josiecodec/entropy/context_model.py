"""The context model: a small integer network that estimates the probability of each code from its neighbourhood.

Positions (patches of an image; frames of audio, as a grid of one row) are coded in five interleaved passes, a finer
version of the checkerboard context model of He et al. 2021 (arXiv 2103.15306). Each pass fills in between those before
it, so that most positions have context on all four sides, and all positions of a pass can be computed together:

    0 4 2 4 0      pass 0 has no neighbours yet, passes 1 to 4 have four each;
    4 3 4 3 4
    2 4 1 4 2      passes 3 and 4 repeat the pattern of passes 1 and 2 at half the distance
    4 3 4 3 4

    neighbourhood of a position -+-> + -> hidden -> class of the code -> code in its class
    levels before, same position +

All arithmetic is on integers: decoder and encoder must get exactly the same frequencies on every machine, and the last
bit of a floating-point sum depends on the machine. Products are taken in double precision, where sums of integers are
exact below 2^53, whatever their order, and for which every library has fast matrix products.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np

from ..errors import FormatError
from .range_coder import FREQUENCY_BITS, RangeDecoder, RangeEncoder

ACTIVATION = 256  # an activation is an integer, in units of 1 / ACTIVATION
WEIGHT = 1024  # a weight, in units of 1 / WEIGHT
TABLE = 16  # a number of the table of codes, in units of 1 / TABLE
GROUPS = 8  # of a code's numbers; the mean square of each is a feature, too
LIMIT = 1 << 15  # of the absolute value of weights and of all inputs of a layer
MAX_TERMS = 1 << 12  # of a sum; so sums stay below 2^43
MAX_COUNT = 32  # greater level counts are taken as this one
PASSES = 5
# The four neighbours that each pass has as context, clockwise (those of pass 0 are never coded before it).
_STRAIGHT, _DIAGONAL = ((-1, 0), (0, 1), (1, 0), (0, -1)), ((-1, -1), (-1, 1), (1, 1), (1, -1))
NEIGHBOURS = tuple(
    tuple((far * i, far * j) for i, j in offsets)
    for far, offsets in ((2, _DIAGONAL), (2, _DIAGONAL), (2, _STRAIGHT), (1, _DIAGONAL), (1, _STRAIGHT))
)
COUNT_NEIGHBOURS = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1))  # positions whose level counts are inputs
SIDE_INPUTS = len(NEIGHBOURS[0]) + len(COUNT_NEIGHBOURS) + PASSES  # inputs beside the sums of codes
COUNT_UNIT = ACTIVATION // 8

# Tensors, with a letter for each axis: K levels, S codes, D numbers of a code, C classes of M codes, A inputs from the
# neighbourhood, O and H widths of layers, N level counts, F features that codes are compared by, E = C * M. "typical"
# is for encoders alone: bits of a code, in units of 1 / ACTIVATION.
_SHAPES = {
    "members": "KCM",
    "table": "KSD",
    "into": "KD",
    "around": "OA",
    "around_bias": "O",
    "outer": "HO",
    "outer_bias": "H",
    "before": "HD",
    "level": "KH",
    "count": "NH",
    "middle": "HH",
    "middle_bias": "H",
    "to_class": "FH",
    "to_class_bias": "F",
    "class_scale": "KF",
    "classes": "KCF",
    "class_bias": "KC",
    "to_code": "FH",
    "to_code_bias": "F",
    "code_scale": "KF",
    "code_bias": "KE",
    "typical": "KS",
}

# What an encoder, a decoder or a counter of bits does with one symbol of each of n positions, given the level, the
# frequencies [n, W] and, where they are known, the symbols [n]; it returns the symbols.
SymbolCoder = Callable[[int, np.ndarray, np.ndarray | None], np.ndarray]


@lru_cache(64)
def coding_passes(rows: int, columns: int) -> np.ndarray:
    """The pass in which each position of a grid is coded: int64 [rows, columns], 0 to 4."""
    i, j = np.arange(rows)[:, None], np.arange(columns)[None]
    even = np.where((i // 2 + j // 2) % 2, 2, i // 2 % 2)
    return np.where((i + j) % 2, 4, np.where(i % 2, 3, even)).astype(np.int64)


@cache
def _exponentials() -> np.ndarray:
    """2^24 exp(-x / ACTIVATION) for x = 0, 1, ... 4095, by multiplications of integers."""
    step = 4278222759  # 2^32 exp(-1 / 256)
    values = [1 << 56]
    while len(values) < 16 * ACTIVATION:
        values.append(values[-1] * step >> 32)
    return np.array([n >> 32 for n in values], np.int64)


def similarity_features(table: np.ndarray) -> np.ndarray:
    """Features that codes are compared by: the numbers of the table [..., D] and the mean squares of groups of them."""
    whole = table.astype(np.int64)
    squares = [(part * part).sum(-1) // (TABLE * part.shape[-1]) for part in np.array_split(whole, GROUPS, axis=-1)]
    return np.concatenate([whole, np.stack(squares, -1)], -1)


class ContextModel:
    """The network, in integers.

    Args:
        tensors: by name; see docs/format.md.

    Attributes:
        levels: that it covers, from the first on.
        codebook_size: codes in each codebook.
        typical_bits: float [levels, S], bits that each code takes, about.
        tensors: as they were given.

    Raises:
        FormatError: if the tensors do not fit each other, or numbers are too large.
    """

    def __init__(self, tensors: dict[str, np.ndarray]):
        if set(tensors) != set(_SHAPES):
            raise FormatError("the context model is not complete")
        sizes = {"N": MAX_COUNT + 1}
        for name, letters in _SHAPES.items():
            if tensors[name].ndim != len(letters):
                raise FormatError(f"the context model is inconsistent ({name})")
            for letter, size in zip(letters, tensors[name].shape):
                if sizes.setdefault(letter, size) != size:
                    raise FormatError(f"the context model is inconsistent ({name})")
        fits = sizes["C"] * sizes["M"] == sizes["E"] and sizes["F"] == sizes["D"] + GROUPS
        fits = fits and sizes["A"] == 4 * sizes["D"] + SIDE_INPUTS and sizes["D"] >= GROUPS
        fits = fits and max(sizes.values()) <= MAX_TERMS and min(sizes[x] for x in "KCMSOH") > 0
        members = tensors["members"].astype(np.int64)
        fits = fits and -1 <= int(members.min()) <= int(members.max()) < sizes["S"]
        self._n = {name: np.ascontiguousarray(value.astype(np.float64)) for name, value in tensors.items()}
        for name, value in self._n.items():
            limit = LIMIT * WEIGHT if name.endswith("bias") else LIMIT
            fits = fits and -limit <= float(value.min(initial=0.0)) and float(value.max(initial=0.0)) <= limit
        if not fits:
            raise FormatError("the context model is inconsistent")
        self.tensors = tensors
        self.levels, self.classes, self.class_size = members.shape
        self.codebook_size = sizes["S"]
        self.members = members
        self._symbols = np.full((self.levels, sizes["S"]), -1)
        for k, codes in enumerate(members.reshape(self.levels, -1)):
            self._symbols[k, codes[codes >= 0]] = np.flatnonzero(codes >= 0)
        if bool((self._symbols < 0).any()):
            raise FormatError("the context model does not cover all codes")
        self.typical_bits = self._n["typical"] / ACTIVATION
        self._embedding = np.floor(self._n["table"] * self._n["into"][:, None] / WEIGHT)
        features = similarity_features(tensors["table"])
        self._features = np.stack([part[row] for part, row in zip(features, members.clip(0))]).astype(np.float64)
        self._code_bias = self._n["code_bias"].reshape(members.shape)

    def encode(self, encoder: RangeEncoder, counts: np.ndarray, codes: np.ndarray) -> None:
        """Code the codes of a grid.

        Args:
            encoder: where to.
            counts: integers [rows, columns], level counts; of greater ones than `levels` the first `levels` are coded.
            codes: integers [rows, columns, K], anything behind the last level of a position.
        """

        def put(_: int, frequencies: np.ndarray, symbols: np.ndarray | None) -> np.ndarray:
            assert symbols is not None
            row = np.arange(len(frequencies))
            cumulative = (frequencies.cumsum(1) - frequencies)[row, symbols]
            for start, frequency in zip(cumulative.tolist(), frequencies[row, symbols].tolist()):
                encoder.encode_symbol(start, frequency, FREQUENCY_BITS)
            return symbols

        self._run(counts, codes, put)

    def decode(self, decoder: RangeDecoder, counts: np.ndarray) -> np.ndarray:
        """The inverse of `encode`: codes int64 [rows, columns, levels], zeros behind the last one.

        Raises:
            FormatError: on a code that does not exist.
        """

        def get(level: int, frequencies: np.ndarray, _: np.ndarray | None) -> np.ndarray:
            symbols = []
            for ends in frequencies.cumsum(1).tolist():
                symbol = bisect_right(ends, decoder.peek(FREQUENCY_BITS))
                start = ends[symbol - 1] if symbol else 0
                decoder.consume(start, ends[symbol] - start, FREQUENCY_BITS)
                symbols.append(symbol)
            return np.array(symbols)

        return self._run(counts, None, get)

    def bits(self, counts: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Bits that `encode` takes, to within a few, level by level: float [levels]."""
        total = np.zeros(self.levels)

        def add(level: int, frequencies: np.ndarray, symbols: np.ndarray | None) -> np.ndarray:
            assert symbols is not None
            total[level] += (FREQUENCY_BITS - np.log2(frequencies[np.arange(len(frequencies)), symbols])).sum()
            return symbols

        self._run(counts, codes, add)
        return total

    def _run(self, counts: np.ndarray, codes: np.ndarray | None, code_symbols: SymbolCoder) -> np.ndarray:
        """Go through a grid in coding order; `codes` are given unless they are about to be decoded."""
        rows, columns = counts.shape
        clipped = np.minimum(counts.astype(np.int64), MAX_COUNT).reshape(-1)
        remaining = np.minimum(clipped, self.levels)
        order = coding_passes(rows, columns).reshape(-1)
        sums = np.zeros((rows * columns, self._embedding.shape[-1]))
        out = np.zeros((rows * columns, self.levels), np.int64)
        given = None if codes is None else codes.reshape(rows * columns, -1).astype(np.int64)
        for number in range(PASSES):
            positions = np.flatnonzero((order == number) & (remaining > 0))
            if not len(positions):
                continue
            context = self._context(number, positions, sums, clipped, (order < number) & (remaining > 0), columns)
            for k in range(int(remaining[positions].max())):
                has_level = remaining[positions] > k
                positions, context = positions[has_level], context[has_level]
                hidden = self._hidden(context, k, clipped[positions], sums[positions])
                own = None if given is None else self._symbols[k, given[positions, k]]
                classes = code_symbols(
                    k, self._class_frequencies(hidden, k), None if own is None else own // self.class_size
                )
                inside = code_symbols(
                    k, self._code_frequencies(hidden, k, classes), None if own is None else own % self.class_size
                )
                code = self.members[k, classes, inside]
                if int(code.min()) < 0:
                    raise FormatError("a code that does not exist")
                out[positions, k] = code
                sums[positions] += self._embedding[k, code]
        return out.reshape(rows, columns, self.levels)

    def _context(
        self, number: int, positions: np.ndarray, sums: np.ndarray, counts: np.ndarray, coded: np.ndarray, columns: int
    ) -> np.ndarray:
        """Context of some positions of a pass, from those that are `coded` already: [n, H]."""
        i, j = np.divmod(positions, columns)
        rows = len(counts) // columns

        def neighbour(down: int, right: int) -> tuple[np.ndarray, np.ndarray]:
            y, x = i + down, j + right
            inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
            return np.where(inside, y * columns + x, 0), inside

        neighbours, side = [], []
        for offset in NEIGHBOURS[number]:
            index, inside = neighbour(*offset)
            known = inside & coded[index]
            neighbours.append(np.where(known[:, None], np.clip(sums[index], -LIMIT, LIMIT), 0.0))
            side.append(ACTIVATION * known)
        for offset in COUNT_NEIGHBOURS:
            index, inside = neighbour(*offset)
            side.append(COUNT_UNIT * np.where(inside, counts[index], 0))
        side += [np.full(len(positions), ACTIVATION * (n == number)) for n in range(PASSES)]
        x = np.concatenate([*neighbours, np.stack(side, 1).astype(np.float64)], 1)
        return self._layer(np.clip(self._layer(x, "around"), 0, LIMIT), "outer")

    def _hidden(self, context: np.ndarray, level: int, counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
        x = context + self._n["level"][level] + self._n["count"][counts]
        if level:
            x = x + np.floor(np.clip(sums, -LIMIT, LIMIT) @ self._n["before"].T / WEIGHT)
        return np.clip(self._layer(np.clip(x, 0, LIMIT), "middle"), 0, LIMIT)

    def _layer(self, x: np.ndarray, name: str) -> np.ndarray:
        return np.floor((x @ self._n[name].T + self._n[f"{name}_bias"]) / WEIGHT)

    def _class_frequencies(self, hidden: np.ndarray, level: int) -> np.ndarray:
        query = self._query(hidden, "class", level)
        logits = query @ self._n["classes"][level].T + self._n["class_bias"][level]
        return _frequencies(np.floor(logits / ACTIVATION), None)

    def _code_frequencies(self, hidden: np.ndarray, level: int, classes: np.ndarray) -> np.ndarray:
        query = self._query(hidden, "code", level)
        logits = np.matmul(self._features[level, classes], query[:, :, None])[:, :, 0] + self._code_bias[level, classes]
        return _frequencies(np.floor(logits / TABLE), self.members[level, classes] >= 0)

    def _query(self, hidden: np.ndarray, what: str, level: int) -> np.ndarray:
        """What the features of classes or codes are multiplied with: [n, F]."""
        query = np.clip(self._layer(hidden, f"to_{what}"), -LIMIT, LIMIT)
        return np.clip(np.floor(query * self._n[f"{what}_scale"][level] / WEIGHT), -LIMIT, LIMIT)


def _frequencies(logits: np.ndarray, exists: np.ndarray | None) -> np.ndarray:
    """Integers of at least 1, 2^FREQUENCY_BITS together in each row: a softmax of logits [n, W].

    Args:
        logits: in units of 1 / ACTIVATION.
        exists: which symbols there are [n, W]; None for all.
    """
    if exists is not None:
        logits = np.where(exists, logits, -(2.0**50))
    below = logits.max(1, keepdims=True) - logits
    table = _exponentials()
    weights = table[np.minimum(below, len(table) - 1).astype(np.int64)]
    width = logits.shape[1]
    frequencies = 1 + weights * ((1 << FREQUENCY_BITS) - width) // weights.sum(1, keepdims=True)
    row = np.arange(len(frequencies))
    frequencies[row, weights.argmax(1)] += (1 << FREQUENCY_BITS) - frequencies.sum(1)
    return frequencies
