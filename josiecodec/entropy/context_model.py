"""A small network that says how likely the next code is, from the codes around it and the levels before it.

Places (patches of a picture; frames of sound, as a grid of one row) are coded in five stages, each of which fills in
between those before, so that most places are seen from all four sides:

    0 4 2 4 0      the first stage knows nothing around it, the last one four neighbours and more
    4 3 4 3 4
    2 4 1 4 2      and the last two look like the two before them, at half the distance
    4 3 4 3 4

    around a place -> context -+-> + -> hidden -> class of the code -> code in its class
    levels before it ----------+

Everything is integers: a decoder must find the very same shares as the encoder on every machine, and the last bit of
a floating-point sum depends on the machine. The products are taken in double precision, in which sums of whole numbers
are exact as long as they stay below 2^53, whatever their order, and which every library multiplies fast.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np

from ..errors import FormatError
from .range_coder import BitDecoder, BitEncoder

BITS = 15  # the shares of all symbols together are 2^BITS
ACTIVATION = 256  # what a layer gives is a whole number of 1 / ACTIVATION
WEIGHT = 1024  # and a weight of 1 / WEIGHT
TABLE = 16  # a number of the table of codes of 1 / TABLE
GROUPS = 8  # of a code's numbers, of each of which the energy is known
LIMIT = 1 << 15  # no weight, and nothing that goes into a layer, is larger
MOST_TERMS = 1 << 12  # of a sum; so sums stay below 2^43
MOST_COUNT = 32  # levels beyond these do not make a difference
STAGES = 5
# The four places that a place of each stage is seen from, clockwise (the first stage is seen from none).
_STRAIGHT, _DIAGONAL = ((-1, 0), (0, 1), (1, 0), (0, -1)), ((-1, -1), (-1, 1), (1, 1), (1, -1))
SEEN_FROM = tuple(
    tuple((far * i, far * j) for i, j in offsets)
    for far, offsets in ((2, _DIAGONAL), (2, _DIAGONAL), (2, _STRAIGHT), (1, _DIAGONAL), (1, _STRAIGHT))
)
NEAR = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1))  # where numbers of levels are looked at
BESIDE = len(SEEN_FROM[0]) + len(NEAR) + STAGES  # numbers that are seen beside sums of codes
COUNT_UNIT = ACTIVATION // 8

# Tensors, with a letter for each axis: K levels, S codes, D numbers of a code, C classes of M codes, A what is around,
# O and H widths of layers, N levels of a place, F what codes are compared by, E = C * M. "typical" is for encoders
# alone: bits of a code, in units of 1 / ACTIVATION.
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

# What an encoder, a decoder or a counter does with one symbol of each of n places, given the level, shares [n, W] and,
# where they are known, the symbols [n]; it returns the symbols.
Symbol = Callable[[int, np.ndarray, np.ndarray | None], np.ndarray]


@lru_cache(64)
def stages(rows: int, columns: int) -> np.ndarray:
    """When each place of a grid is coded: int64 [rows, columns], 0 to 4."""
    i, j = np.arange(rows)[:, None], np.arange(columns)[None]
    even = np.where((i // 2 + j // 2) % 2, 2, i // 2 % 2)
    return np.where((i + j) % 2, 4, np.where(i % 2, 3, even)).astype(np.int64)


@cache
def _exponentials() -> np.ndarray:
    """2^24 exp(-x / ACTIVATION) for x = 0, 1, ... 4095, by multiplications of whole numbers."""
    step = 4278222759  # 2^32 exp(-1 / 256)
    found = [1 << 56]
    while len(found) < 16 * ACTIVATION:
        found.append(found[-1] * step >> 32)
    return np.array([n >> 32 for n in found], np.int64)


def likeness(table: np.ndarray) -> np.ndarray:
    """What codes are compared by: the numbers of the table [..., D] and the mean squares of groups of them."""
    whole = table.astype(np.int64)
    squares = [(part * part).sum(-1) // (TABLE * part.shape[-1]) for part in np.array_split(whole, GROUPS, axis=-1)]
    return np.concatenate([whole, np.stack(squares, -1)], -1)


class ContextNetwork:
    """The network, in integers.

    Args:
        tensors: by name; see docs/format.md.

    Attributes:
        levels: that it knows, from the first on.
        codebook_size: codes in each codebook.
        typical_bits: float [levels, S], bits that each code takes, about.
        tensors: as they were given.

    Raises:
        FormatError: if the tensors do not fit each other, or numbers are too large.
    """

    def __init__(self, tensors: dict[str, np.ndarray]):
        if set(tensors) != set(_SHAPES):
            raise FormatError("the context network of a model is not complete")
        sizes = {"N": MOST_COUNT + 1}
        for name, letters in _SHAPES.items():
            if tensors[name].ndim != len(letters):
                raise FormatError(f"the context network of a model is not in order ({name})")
            for letter, size in zip(letters, tensors[name].shape):
                if sizes.setdefault(letter, size) != size:
                    raise FormatError(f"the context network of a model is not in order ({name})")
        fits = sizes["C"] * sizes["M"] == sizes["E"] and sizes["F"] == sizes["D"] + GROUPS
        fits = fits and sizes["A"] == 4 * sizes["D"] + BESIDE and sizes["D"] >= GROUPS
        fits = fits and max(sizes.values()) <= MOST_TERMS and min(sizes[x] for x in "KCMSOH") > 0
        members = tensors["members"].astype(np.int64)
        fits = fits and -1 <= int(members.min()) <= int(members.max()) < sizes["S"]
        for name, value in tensors.items():
            most = LIMIT * WEIGHT if name.endswith("bias") else LIMIT
            fits = fits and bool((np.abs(value.astype(np.float64)) <= most).all())
        if not fits:
            raise FormatError("the context network of a model is not in order")
        self.tensors = tensors
        self.levels, self.classes, self.most = members.shape
        self.codebook_size = sizes["S"]
        self.members = members
        self.place = np.full((self.levels, sizes["S"]), -1)
        for k, codes in enumerate(members.reshape(self.levels, -1)):
            self.place[k, codes[codes >= 0]] = np.flatnonzero(codes >= 0)
        if bool((self.place < 0).any()):
            raise FormatError("the context network of a model does not know all codes")
        self._n = {name: np.ascontiguousarray(value.astype(np.float64)) for name, value in tensors.items()}
        self.typical_bits = self._n["typical"] / ACTIVATION
        self._embedding = np.floor(self._n["table"] * self._n["into"][:, None] / WEIGHT)
        like = likeness(tensors["table"])
        self._like = np.stack([part[row] for part, row in zip(like, members.clip(0))]).astype(np.float64)
        self._code_bias = self._n["code_bias"].reshape(members.shape)

    # What users of the network call ----------------------------------------------------------------

    def encode(self, coder: BitEncoder, counts: np.ndarray, codes: np.ndarray) -> None:
        """Code the codes of a grid.

        Args:
            coder: where to.
            counts: integers [rows, columns], levels of each place; of more than `levels` these are coded.
            codes: integers [rows, columns, K], anything behind the last level of a place.
        """

        def put(_: int, shares: np.ndarray, symbols: np.ndarray | None) -> np.ndarray:
            assert symbols is not None
            row = np.arange(len(shares))
            starts = (shares.cumsum(1) - shares)[row, symbols]
            for start, size in zip(starts.tolist(), shares[row, symbols].tolist()):
                coder.encode_share(start, size, BITS)
            return symbols

        self._run(counts, codes, put)

    def decode(self, coder: BitDecoder, counts: np.ndarray) -> np.ndarray:
        """The inverse of `encode`: codes int64 [rows, columns, levels], zeros behind the last one.

        Raises:
            FormatError: on a code that does not exist.
        """

        def get(level: int, shares: np.ndarray, _: np.ndarray | None) -> np.ndarray:
            found = []
            for ends in shares.cumsum(1).tolist():
                symbol = bisect_right(ends, coder.share(BITS))
                start = ends[symbol - 1] if symbol else 0
                coder.take(start, ends[symbol] - start, BITS)
                found.append(symbol)
            return np.array(found)

        return self._run(counts, None, get)

    def bits(self, counts: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Bits that `encode` takes, to within a few, level by level: float [levels]."""
        total = np.zeros(self.levels)

        def add(level: int, shares: np.ndarray, symbols: np.ndarray | None) -> np.ndarray:
            assert symbols is not None
            total[level] += (BITS - np.log2(shares[np.arange(len(shares)), symbols])).sum()
            return symbols

        self._run(counts, codes, add)
        return total

    # Inside ------------------------------------------------------------------------------------------

    def _run(self, counts: np.ndarray, codes: np.ndarray | None, symbol: Symbol) -> np.ndarray:
        """Go through a grid in order; `codes` are there unless they are about to be decoded."""
        rows, columns = counts.shape
        known = np.minimum(counts.astype(np.int64), MOST_COUNT).reshape(-1)
        wanted = np.minimum(known, self.levels)
        when = stages(rows, columns).reshape(-1)
        sums = np.zeros((rows * columns, self._embedding.shape[-1]))
        out = np.zeros((rows * columns, self.levels), np.int64)
        given = None if codes is None else codes.reshape(rows * columns, -1).astype(np.int64)
        for stage in range(STAGES):
            places = np.flatnonzero((when == stage) & (wanted > 0))
            if not len(places):
                continue
            context = self._context(stage, places, sums, known, (when < stage) & (wanted > 0), columns)
            for k in range(int(wanted[places].max())):
                going = wanted[places] > k
                places, context = places[going], context[going]
                hidden = self._hidden(context, k, known[places], sums[places])
                own = None if given is None else self.place[k, given[places, k]]
                found = symbol(k, self._class_shares(hidden, k), None if own is None else own // self.most)
                inside = symbol(k, self._code_shares(hidden, k, found), None if own is None else own % self.most)
                code = self.members[k, found, inside]
                if int(code.min()) < 0:
                    raise FormatError("a code that does not exist")
                out[places, k] = code
                sums[places] += self._embedding[k, code]
        return out.reshape(rows, columns, self.levels)

    def _context(
        self, stage: int, places: np.ndarray, sums: np.ndarray, counts: np.ndarray, known: np.ndarray, columns: int
    ) -> np.ndarray:
        """What is to be seen around some places of a stage: [n, H]."""
        i, j = np.divmod(places, columns)
        rows = len(counts) // columns

        def other(down: int, right: int) -> tuple[np.ndarray, np.ndarray]:
            y, x = i + down, j + right
            inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
            return np.where(inside, y * columns + x, 0), inside

        seen, beside = [], []
        for offset in SEEN_FROM[stage]:
            there, inside = other(*offset)
            earlier = inside & known[there]
            seen.append(np.where(earlier[:, None], np.clip(sums[there], -LIMIT, LIMIT), 0.0))
            beside.append(ACTIVATION * earlier)
        for offset in NEAR:
            there, inside = other(*offset)
            beside.append(COUNT_UNIT * np.where(inside, counts[there], 0))
        beside += [np.full(len(places), ACTIVATION * (s == stage)) for s in range(STAGES)]
        x = np.concatenate([*seen, np.stack(beside, 1).astype(np.float64)], 1)
        return self._layer(np.clip(self._layer(x, "around"), 0, LIMIT), "outer")

    def _hidden(self, context: np.ndarray, level: int, counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
        x = context + self._n["level"][level] + self._n["count"][counts]
        if level:
            x = x + np.floor(np.clip(sums, -LIMIT, LIMIT) @ self._n["before"].T / WEIGHT)
        return np.clip(self._layer(np.clip(x, 0, LIMIT), "middle"), 0, LIMIT)

    def _layer(self, x: np.ndarray, name: str) -> np.ndarray:
        return np.floor((x @ self._n[name].T + self._n[f"{name}_bias"]) / WEIGHT)

    def _class_shares(self, hidden: np.ndarray, level: int) -> np.ndarray:
        wanted = self._wanted(hidden, "class", level)
        logits = wanted @ self._n["classes"][level].T + self._n["class_bias"][level]
        return _shares(np.floor(logits / ACTIVATION), None)

    def _code_shares(self, hidden: np.ndarray, level: int, classes: np.ndarray) -> np.ndarray:
        wanted = self._wanted(hidden, "code", level)
        logits = np.matmul(self._like[level, classes], wanted[:, :, None])[:, :, 0] + self._code_bias[level, classes]
        return _shares(np.floor(logits / TABLE), self.members[level, classes] >= 0)

    def _wanted(self, hidden: np.ndarray, what: str, level: int) -> np.ndarray:
        """What the code (or its class) should be like: [n, F]."""
        wanted = np.clip(self._layer(hidden, f"to_{what}"), -LIMIT, LIMIT)
        return np.clip(np.floor(wanted * self._n[f"{what}_scale"][level] / WEIGHT), -LIMIT, LIMIT)


def _shares(logits: np.ndarray, exists: np.ndarray | None) -> np.ndarray:
    """Whole numbers of at least 1, 2^BITS together in each row, from logits [n, W] in units of 1 / ACTIVATION."""
    if exists is not None:
        logits = np.where(exists, logits, -(2.0**50))
    below = logits.max(1, keepdims=True) - logits
    table = _exponentials()
    weights = table[np.minimum(below, len(table) - 1).astype(np.int64)]
    width = logits.shape[1]
    shares = 1 + weights * ((1 << BITS) - width) // weights.sum(1, keepdims=True)
    row = np.arange(len(shares))
    shares[row, weights.argmax(1)] += (1 << BITS) - shares.sum(1)
    return shares
