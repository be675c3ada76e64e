"""Tables that ship with a model and say how likely its codes are, and the coding of codes with them.

The codes of a level are sorted into a few classes of like codes. First the class of a code is coded, in the context
of classes that were coded before; then which code of the class it is, whatever the context. All numbers are integers,
so encoder and decoder agree on every machine.

    sound       class of the same level in the frame before, class of the level before in this frame
    pictures    first level: classes of the patches to the left and above; deeper ones: class of the level before,
                and how many levels are still to come

If the model has a context network (`context.py`), it takes the place of the tables for the first levels.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from ..errors import FormatError
from .context_model import BITS, ContextNetwork
from .range_coder import BitDecoder, BitEncoder

MOST_PER_BYTE = 8  # codes; there are zeros behind likelier ones, and nobody can make a decoder work for nothing
TO_COME = 8  # classes of how many levels are still to come
_BUCKETS = (0, 0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6) + (7,) * 49


class LevelTable:
    """How likely the codes of one level are.

    Args:
        classes: [S], the class of each code, 0 .. C - 1.
        given: integers [A, B, C], shares of the classes in two contexts, each row 2^BITS together. Where A or B is 1
            that context does not matter; else the last place is "there is none".
        within: integers [S], share of each code in its class, 2^BITS together for each class.

    Raises:
        FormatError: if the numbers do not add up.
    """

    def __init__(self, classes: np.ndarray, given: np.ndarray, within: np.ndarray):
        count = given.shape[-1] if given.ndim == 3 else 0
        ok = count > 0 and classes.ndim == 1 and classes.shape == within.shape and int(classes.max(initial=0)) < count
        ok = ok and int(given.min()) > 0 and int(within.min(initial=1)) > 0 and bool((given.sum(-1) == 1 << BITS).all())
        sums = np.bincount(classes.astype(np.int64), within.astype(np.int64), count) if ok else np.zeros(0)
        if not ok or bool(((sums != 1 << BITS) & (sums != 0)).any()):
            raise FormatError("the tables of a model are not in order")
        self.contexts = given.shape[:2]
        self.classes: list[int] = classes.tolist()
        self.class_count = count
        starts = np.cumsum(given, -1) - given
        self._given_starts = starts.reshape(-1, count).tolist()
        self._given = given.reshape(-1, count).tolist()
        order = np.argsort(classes, kind="stable")
        self._members: list[list[int]] = [order[classes[order] == c].tolist() for c in range(count)]
        self._member_starts: list[list[int]] = []
        self._start = [0] * len(classes)
        self._size: list[int] = within.tolist()
        for members in self._members:
            total, starts_here = 0, []
            for code in members:
                starts_here.append(total)
                self._start[code] = total
                total += self._size[code]
            self._member_starts.append(starts_here)
        self.class_bits = BITS - np.log2(given.astype(np.float64))  # for estimates alone
        self.code_bits = BITS - np.log2(within.astype(np.float64))
        self._typical = -np.log2((2.0**-self.class_bits).mean((0, 1)))[classes] + self.code_bits

    def place(self, a: int, b: int) -> int:
        """The row of a context; a negative number is "there is none"."""
        wide, high = self.contexts
        return (a % wide if wide > 1 else 0) * high + (b % high if high > 1 else 0)

    def bits(self, a: np.ndarray, b: np.ndarray, classes: np.ndarray, codes: np.ndarray) -> float:
        """Bits that codes [N] of `classes` [N] take in contexts a, b [N], about."""
        wide, high = self.contexts
        chosen = self.class_bits[a % wide if wide > 1 else 0, b % high if high > 1 else 0, classes]
        return float(chosen.sum() + self.code_bits[codes].sum())

    def typical_bits(self) -> np.ndarray:
        """Bits that each code takes where nothing is known of its context, about: float [S]."""
        return self._typical

    def encode(self, coder: BitEncoder, place: int, code: int) -> int:
        """Code one code; returns its class."""
        found = self.classes[code]
        coder.encode_share(self._given_starts[place][found], self._given[place][found], BITS)
        coder.encode_share(self._start[code], self._size[code], BITS)
        return found

    def decode(self, coder: BitDecoder, place: int) -> tuple[int, int]:
        """The next code and its class.

        Raises:
            FormatError: on a class that has no codes.
        """
        starts = self._given_starts[place]
        found = bisect_right(starts, coder.share(BITS)) - 1
        coder.take(starts[found], self._given[place][found], BITS)
        if not self._members[found]:
            raise FormatError("a class without codes")
        inside = self._member_starts[found]
        index = bisect_right(inside, coder.share(BITS)) - 1
        code = self._members[found][index]
        coder.take(inside[index], self._size[code], BITS)
        return code, found


@dataclass(frozen=True)
class EntropyTables:
    """The tables of a model.

    Attributes:
        levels: one for each level.
        starts: in pictures, the level that the codes of each mode of a patch begin with.
        context: network for the first levels, in pictures of patches that begin with the first, or None.
        data: the file that they were read from.
    """

    levels: list[LevelTable]
    starts: tuple[int, ...] = (0,)
    context: ContextNetwork | None = None
    data: bytes = b""

    @property
    def seen(self) -> int:
        """Levels that the network takes."""
        return 0 if self.context is None else self.context.levels

    def typical_bits(self, level: int) -> np.ndarray:
        """Bits that each code of a level takes, about, whatever its context: float [S]."""
        if self.context is not None and level < self.context.levels:
            return self.context.typical_bits[level]
        return self.levels[level].typical_bits()


def bucket(to_come: int) -> int:
    """Class of a number of levels that are still to come after this one."""
    return _BUCKETS[min(to_come, len(_BUCKETS) - 1)]


def least_bytes(codes: int) -> int:
    """Bytes that so many codes take at least."""
    return -(-codes // MOST_PER_BYTE)


def check_density(codes: int, size: int) -> None:
    """Make sure that so many codes can be in so many bytes.

    Raises:
        FormatError: if not.
    """
    if codes > MOST_PER_BYTE * size:
        raise FormatError(f"{codes} codes in {size} bytes")


def _check_rest(coder: BitDecoder, codes: int) -> None:
    """Make sure that a row of so many codes ends where its bytes end, but for zeros that make it long enough.

    Raises:
        FormatError: if not.
    """
    rest = coder.data[coder.position :]
    if rest.strip(b"\0") or (rest and len(coder.data) > least_bytes(codes)):
        raise FormatError("bytes behind the last code")


def encode_frames(codes: np.ndarray, tables: EntropyTables) -> bytes:
    """Codes [frames, levels] of sound -> bytes."""
    coder = BitEncoder()
    if tables.context is not None:
        tables.context.encode(coder, np.full((1, len(codes)), codes.shape[1]), codes[None])
    before = [-1] * codes.shape[1]
    for frame in codes.tolist():
        last = -1
        for k, code in enumerate(frame):
            table = tables.levels[k]
            last = table.classes[code] if k < tables.seen else table.encode(coder, table.place(before[k], last), code)
            before[k] = last
    return coder.finish().ljust(least_bytes(codes.size), b"\0")


def decode_frames(data: bytes, frames: int, levels: int, tables: EntropyTables) -> np.ndarray:
    """The inverse of `encode_frames`: uint16 [frames, levels].

    Raises:
        FormatError: if the bytes are not in order.
    """
    check_density(frames * levels, len(data))
    coder = BitDecoder(data)
    seen: list[list[int]] = [[]] * frames
    if tables.context is not None:
        seen = tables.context.decode(coder, np.full((1, frames), levels))[0, :, :levels].tolist()
    before = [-1] * levels
    out = []
    for row in seen:
        row = row.copy()
        last = tables.levels[len(row) - 1].classes[row[-1]] if row else -1
        for k in range(len(row), levels):
            table = tables.levels[k]
            code, last = table.decode(coder, table.place(before[k], last))
            before[k] = last
            row.append(code)
        out.append(row)
    _check_rest(coder, frames * levels)
    return np.array(out, np.uint16).reshape(frames, levels)


def encode_patches(modes: np.ndarray, counts: np.ndarray, codes: np.ndarray, tables: EntropyTables) -> bytes:
    """Codes of patches (see `PatchRows`) -> bytes."""
    coder = BitEncoder()
    levels, starts = tables.levels, tables.starts
    if tables.context is not None:
        tables.context.encode(coder, *_own_grid(modes, counts, codes, tables))
    flat, at = codes.tolist(), 0
    above = [-1] * counts.shape[1]
    for row_modes, row_counts in zip(modes.tolist(), counts.tolist()):
        left = -1
        for column, (mode, count) in enumerate(zip(row_modes, row_counts)):
            first = starts[mode]
            a, b = (left, above[column]) if first == 0 else (-1, bucket(count - 1))
            own = -1
            for k in range(count):
                table = levels[first + k]
                if first == 0 and k < tables.seen:
                    a = table.classes[flat[at]]
                else:
                    a = table.encode(coder, table.place(a, b), flat[at])
                own = a if first + k == 0 else own
                b = bucket(count - k - 2)
                at += 1
            left = above[column] = own
    return coder.finish().ljust(least_bytes(len(codes)), b"\0")


def decode_patches(data: bytes, modes: np.ndarray, counts: np.ndarray, tables: EntropyTables) -> np.ndarray:
    """The inverse of `encode_patches`: uint16 [counts.sum()].

    Raises:
        FormatError: if the bytes are not in order.
    """
    total = int(counts.sum(dtype=np.int64))
    check_density(total, len(data))
    coder = BitDecoder(data)
    levels, starts = tables.levels, tables.starts
    if bool((np.array(starts)[modes] + counts > len(levels)).any()):
        raise FormatError("more levels than the model has")
    seen = np.zeros((*counts.shape, 0), np.int64)
    if tables.context is not None:
        seen = tables.context.decode(coder, np.where(_begins(modes, tables), counts, 0))
    out: list[int] = []
    above = [-1] * counts.shape[1]
    for row_modes, row_counts, row_seen in zip(modes.tolist(), counts.tolist(), seen.tolist()):
        left = -1
        for column, (mode, count) in enumerate(zip(row_modes, row_counts)):
            first = starts[mode]
            a, b = (left, above[column]) if first == 0 else (-1, bucket(count - 1))
            own = -1
            for k in range(count):
                table = levels[first + k]
                if first == 0 and k < tables.seen:
                    code = row_seen[column][k]
                    a = table.classes[code]
                else:
                    code, a = table.decode(coder, table.place(a, b))
                out.append(code)
                own = a if first + k == 0 else own
                b = bucket(count - k - 2)
            left = above[column] = own
    _check_rest(coder, total)
    return np.array(out, np.uint16)


def _begins(modes: np.ndarray, tables: EntropyTables) -> np.ndarray:
    """Which patches begin with the first level."""
    return np.array(tables.starts)[modes] == 0


def _own_grid(
    modes: np.ndarray, counts: np.ndarray, codes: np.ndarray, tables: EntropyTables
) -> tuple[np.ndarray, np.ndarray]:
    """Counts (0 of patches that begin with another level) and codes of a grid, as `ContextNetwork` takes them."""
    numbers = counts.reshape(-1).astype(np.int64)
    begins = np.cumsum(numbers) - numbers
    place = begins[:, None] + np.arange(tables.seen)
    padded = np.concatenate([codes, np.zeros(tables.seen, codes.dtype)])
    grid = padded[np.minimum(place, len(padded) - 1)].reshape(*counts.shape, tables.seen)
    return np.where(_begins(modes, tables), counts, 0), grid


def frame_bits(codes: np.ndarray, tables: EntropyTables) -> np.ndarray:
    """Bits that `encode_frames` takes for codes [frames, levels], to within a few, level by level: float [levels]."""
    total = np.zeros(codes.shape[1])
    above = np.full(len(codes), -1)
    for k, table in enumerate(tables.levels[: codes.shape[1]]):
        own = np.array(table.classes)[codes[:, k]]
        before = np.concatenate([[-1], own[:-1]])[: len(own)]
        total[k] = table.bits(before, above, own, codes[:, k])
        above = own
    if tables.context is not None:
        found = tables.context.bits(np.full((1, len(codes)), codes.shape[1]), codes[None])[: len(total)]
        total[: len(found)] = found
    return total


def patch_bits(
    modes: np.ndarray, counts: np.ndarray, codes: np.ndarray, tables: EntropyTables, exactly: bool = True
) -> np.ndarray:
    """Bits that `encode_patches` takes, to within a few, level by level: float [levels]; much faster.

    If not `exactly`, as if the model had no context network, which is faster still.
    """
    numbers = counts.reshape(-1).astype(np.int64)
    most = int(numbers.max(initial=0))
    total = np.zeros(len(tables.levels))
    if not most:
        return total
    begins = np.cumsum(numbers) - numbers
    first = np.array(tables.starts)[modes.reshape(-1)]
    before = np.full(len(numbers), -1)
    neighbours = _first_classes(modes, numbers, begins, codes, tables)
    buckets = np.array([bucket(n) for n in range(-1, most)])  # [1 + levels to come]
    for k in range(most):
        for start in dict.fromkeys(tables.starts):
            chosen = np.flatnonzero((numbers > k) & (first == start))
            if not len(chosen):
                continue
            table = tables.levels[start + k]
            own = codes[begins[chosen] + k]
            classes = np.array(table.classes)[own]
            if start + k == 0:
                a, b = neighbours[0][chosen], neighbours[1][chosen]
            else:
                a, b = before[chosen], buckets[numbers[chosen] - k]
            if not (exactly and start == 0 and k < tables.seen):
                total[start + k] += table.bits(a, b, classes, own)
            before[chosen] = classes
    if exactly and tables.context is not None:
        total[: tables.seen] += tables.context.bits(*_own_grid(modes, counts, codes, tables))
    return total


def _first_classes(
    modes: np.ndarray, numbers: np.ndarray, begins: np.ndarray, codes: np.ndarray, tables: EntropyTables
) -> tuple[np.ndarray, np.ndarray]:
    """Classes of the first level of the patches to the left and above, -1 where there is none."""
    own = np.full(len(numbers), -1)
    has = (numbers > 0) & (np.array(tables.starts)[modes.reshape(-1)] == 0)
    own[has] = np.array(tables.levels[0].classes)[codes[begins[has]]]
    grid = own.reshape(modes.shape)
    left, above = np.full_like(grid, -1), np.full_like(grid, -1)
    left[:, 1:], above[1:] = grid[:, :-1], grid[:-1]
    return left.reshape(-1), above.reshape(-1)
