"""Static frequency tables that ship with a model, and range coding of codes with them.

The codes of a level are sorted into a few classes of similar codes. First the class of a code is coded, given the
classes of codes that were coded before; then the code within its class, independent of the context. All numbers are
integers, so encoder and decoder agree on every machine.

    audio       class of the same level in the frame before, class of the level before in this frame
    vision      first level: classes of the patches to the left and above; deeper ones: class of the level before,
                and how many levels remain

If the model has a context model (`context_model.py`), it takes the place of the tables for the first levels.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import FormatError
from .context_model import ContextModel
from .range_coder import FREQUENCY_BITS, RangeDecoder, RangeEncoder

MAX_CODES_PER_BYTE = 8  # likelier ones are followed by zeros, so that a short file cannot ask for endless work
REMAINING_CLASSES = 8  # classes of how many levels of a patch remain
_REMAINING_CLASS = (0, 0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6) + (7,) * 49


class LevelTable:
    """Frequencies of the codes of one level.

    Args:
        classes: [S], the class of each code, 0 .. C - 1.
        class_frequencies: integers [A, B, C], frequencies of the classes in two contexts, each row 2^FREQUENCY_BITS
            together. Where A or B is 1 that context is not used; else the last index is "there is none".
        code_frequencies: integers [S], frequency of each code in its class, 2^FREQUENCY_BITS together for each class.

    Raises:
        FormatError: if the numbers do not add up.
    """

    def __init__(self, classes: np.ndarray, class_frequencies: np.ndarray, code_frequencies: np.ndarray):
        count = class_frequencies.shape[-1] if class_frequencies.ndim == 3 else 0
        ok = count > 0 and classes.ndim == 1 and classes.shape == code_frequencies.shape
        ok = ok and int(classes.max(initial=0)) < count
        ok = ok and int(class_frequencies.min()) > 0 and int(code_frequencies.min(initial=1)) > 0
        ok = ok and bool((class_frequencies.sum(-1) == 1 << FREQUENCY_BITS).all())
        sums = np.bincount(classes.astype(np.int64), code_frequencies.astype(np.int64), count) if ok else np.zeros(0)
        if not ok or bool(((sums != 1 << FREQUENCY_BITS) & (sums != 0)).any()):
            raise FormatError("the frequencies in the tables of a model do not add up")
        self.contexts = class_frequencies.shape[:2]
        self.class_count = count
        self._numbers = classes, class_frequencies, code_frequencies

    # What follows is made when it is needed first: most files have few of the levels of a model.

    @cached_property
    def classes(self) -> list[int]:
        """The class of each code."""
        classes: list[int] = self._numbers[0].tolist()
        return classes

    @cached_property
    def class_bits(self) -> np.ndarray:
        """Bits that classes take in each context, for estimates alone: float [A, B, C]."""
        return FREQUENCY_BITS - np.log2(self._numbers[1].astype(np.float64))

    @cached_property
    def code_bits(self) -> np.ndarray:
        """Bits that codes take in their classes, for estimates alone: float [S]."""
        return FREQUENCY_BITS - np.log2(self._numbers[2].astype(np.float64))

    @cached_property
    def _typical(self) -> np.ndarray:
        return -np.log2((2.0**-self.class_bits).mean((0, 1)))[self._numbers[0]] + self.code_bits

    @cached_property
    def _coder(self) -> _Coder:
        return _Coder(*self._numbers)

    def context_index(self, a: int, b: int) -> int:
        """The row of frequencies of a context; a negative number is "there is none"."""
        height, width = self.contexts
        return (a % height if height > 1 else 0) * width + (b % width if width > 1 else 0)

    def bits(self, a: np.ndarray, b: np.ndarray, classes: np.ndarray, codes: np.ndarray) -> float:
        """Bits that codes [N] of `classes` [N] take in contexts a, b [N], about."""
        height, width = self.contexts
        chosen = self.class_bits[a % height if height > 1 else 0, b % width if width > 1 else 0, classes]
        return float(chosen.sum() + self.code_bits[codes].sum())

    def typical_bits(self) -> np.ndarray:
        """Bits that each code takes, averaged over its contexts: float [S]."""
        return self._typical

    def encode(self, encoder: RangeEncoder, context: int, code: int) -> int:
        """Code one code, given its `context_index`; returns its class."""
        own, coder = self.classes[code], self._coder
        encoder.encode_symbol(coder.class_cumulative[context][own], coder.class_frequency[context][own], FREQUENCY_BITS)
        encoder.encode_symbol(coder.code_cumulative[code], coder.code_frequency[code], FREQUENCY_BITS)
        return own

    def decode(self, decoder: RangeDecoder, context: int) -> tuple[int, int]:
        """The next code and its class.

        Raises:
            FormatError: on a class that has no codes.
        """
        coder = self._coder
        cumulative = coder.class_cumulative[context]
        own = bisect_right(cumulative, decoder.peek(FREQUENCY_BITS)) - 1
        decoder.consume(cumulative[own], coder.class_frequency[context][own], FREQUENCY_BITS)
        if not coder.members[own]:
            raise FormatError("a class without codes")
        inside = coder.member_cumulative[own]
        index = bisect_right(inside, decoder.peek(FREQUENCY_BITS)) - 1
        code = coder.members[own][index]
        decoder.consume(inside[index], coder.code_frequency[code], FREQUENCY_BITS)
        return code, own


class _Coder:
    """The numbers of a `LevelTable` as lists, by which single codes are coded.

    Attributes:
        class_cumulative, class_frequency: by context and class.
        members: of each class, its codes.
        member_cumulative: of these, where they begin.
        code_cumulative, code_frequency: of each code in its class.
    """

    def __init__(self, classes: np.ndarray, class_frequencies: np.ndarray, code_frequencies: np.ndarray):
        count = class_frequencies.shape[-1]
        cumulative = np.cumsum(class_frequencies, -1) - class_frequencies
        self.class_cumulative: list[list[int]] = cumulative.reshape(-1, count).tolist()
        self.class_frequency: list[list[int]] = class_frequencies.reshape(-1, count).tolist()
        order = np.argsort(classes, kind="stable")
        sizes = np.bincount(classes, minlength=count)
        firsts = np.cumsum(sizes) - sizes
        ordered = code_frequencies[order]
        begins = np.cumsum(ordered) - ordered
        starts = np.where(sizes > 0, begins[np.minimum(firsts, max(len(order) - 1, 0))] if len(order) else 0, 0)
        begins = begins - np.repeat(starts, sizes)
        code_cumulative = np.zeros_like(begins)
        code_cumulative[order] = begins
        self.members: list[list[int]] = [part.tolist() for part in np.split(order, firsts[1:])]
        self.member_cumulative: list[list[int]] = [part.tolist() for part in np.split(begins, firsts[1:])]
        self.code_cumulative: list[int] = code_cumulative.tolist()
        self.code_frequency: list[int] = code_frequencies.tolist()


@dataclass(frozen=True)
class EntropyTables:
    """The tables of a model.

    Attributes:
        levels: one for each level.
        starts: of vision, the level that the codes of each mode of a patch begin with.
        context: context model of the first levels (of vision, for patches whose codes begin with the first), or None.
        data: the file that they were read from.
    """

    levels: list[LevelTable]
    starts: tuple[int, ...] = (0,)
    context: ContextModel | None = None
    data: bytes = b""

    @property
    def context_levels(self) -> int:
        """Levels whose codes the context model codes."""
        return 0 if self.context is None else self.context.levels

    def typical_bits(self, level: int) -> np.ndarray:
        """Bits that each code of a level takes, averaged over its contexts: float [S]."""
        if self.context is not None and level < self.context.levels:
            return self.context.typical_bits[level]
        return self.levels[level].typical_bits()


def remaining_class(levels: int) -> int:
    """Class of the number of levels of a patch that remain after this one."""
    return _REMAINING_CLASS[min(levels, len(_REMAINING_CLASS) - 1)]


def min_bytes(codes: int) -> int:
    """The fewest bytes that so many codes may take."""
    return -(-codes // MAX_CODES_PER_BYTE)


def check_density(codes: int, size: int) -> None:
    """Make sure that so many codes can be in so many bytes.

    Raises:
        FormatError: if not.
    """
    if codes > MAX_CODES_PER_BYTE * size:
        raise FormatError(f"{codes} codes in {size} bytes")


def _check_rest(decoder: RangeDecoder, codes: int) -> None:
    """Make sure that a stream of so many codes ends where its bytes end, but for zeros that make it long enough.

    Raises:
        FormatError: if not.
    """
    rest = decoder.data[decoder.position :]
    if rest.strip(b"\0") or (rest and len(decoder.data) > min_bytes(codes)):
        raise FormatError("bytes behind the last code")


def encode_frames(codes: np.ndarray, tables: EntropyTables) -> bytes:
    """Codes [frames, levels] of audio -> bytes."""
    encoder = RangeEncoder()
    if tables.context is not None:
        tables.context.encode(encoder, np.full((1, len(codes)), codes.shape[1]), codes[None])
    before = [-1] * codes.shape[1]
    for frame in codes.tolist():
        last = -1
        for k, code in enumerate(frame):
            table = tables.levels[k]
            if k < tables.context_levels:
                last = table.classes[code]
            else:
                last = table.encode(encoder, table.context_index(before[k], last), code)
            before[k] = last
    return encoder.finish().ljust(min_bytes(codes.size), b"\0")


def decode_frames(data: bytes, frames: int, levels: int, tables: EntropyTables) -> np.ndarray:
    """The inverse of `encode_frames`: uint16 [frames, levels].

    Raises:
        FormatError: if the bytes are not in order.
    """
    check_density(frames * levels, len(data))
    decoder = RangeDecoder(data)
    first_levels: list[list[int]] = [[]] * frames
    if tables.context is not None:
        grid = tables.context.decode(decoder, np.full((1, frames), levels))
        first_levels = grid[0, :, :levels].tolist()
    before = [-1] * levels
    out = []
    for row in first_levels:
        row = row.copy()
        last = tables.levels[len(row) - 1].classes[row[-1]] if row else -1
        for k in range(len(row), levels):
            table = tables.levels[k]
            code, last = table.decode(decoder, table.context_index(before[k], last))
            before[k] = last
            row.append(code)
        out.append(row)
    _check_rest(decoder, frames * levels)
    return np.array(out, np.uint16).reshape(frames, levels)


def encode_patches(modes: np.ndarray, counts: np.ndarray, codes: np.ndarray, tables: EntropyTables) -> bytes:
    """Codes of patches (see `PatchRows`) -> bytes."""
    encoder = RangeEncoder()
    levels, starts = tables.levels, tables.starts
    if tables.context is not None:
        tables.context.encode(encoder, *_first_level_grid(modes, counts, codes, tables))
    flat, at = codes.tolist(), 0
    above = [-1] * counts.shape[1]
    for row_modes, row_counts in zip(modes.tolist(), counts.tolist()):
        left = -1
        for column, (mode, count) in enumerate(zip(row_modes, row_counts)):
            first = starts[mode]
            a, b = (left, above[column]) if first == 0 else (-1, remaining_class(count - 1))
            own = -1
            for k in range(count):
                table = levels[first + k]
                if first == 0 and k < tables.context_levels:
                    a = table.classes[flat[at]]
                else:
                    a = table.encode(encoder, table.context_index(a, b), flat[at])
                own = a if first + k == 0 else own
                b = remaining_class(count - k - 2)
                at += 1
            left = above[column] = own
    return encoder.finish().ljust(min_bytes(len(codes)), b"\0")


def decode_patches(data: bytes, modes: np.ndarray, counts: np.ndarray, tables: EntropyTables) -> np.ndarray:
    """The inverse of `encode_patches`: uint16 [counts.sum()].

    Raises:
        FormatError: if the bytes are not in order.
    """
    total = int(counts.sum(dtype=np.int64))
    check_density(total, len(data))
    decoder = RangeDecoder(data)
    levels, starts = tables.levels, tables.starts
    if bool((np.array(starts)[modes] + counts > len(levels)).any()):
        raise FormatError("more levels than the model has")
    first_levels = np.zeros((*counts.shape, 0), np.int64)
    if tables.context is not None:
        first_levels = tables.context.decode(decoder, np.where(_from_first_level(modes, tables), counts, 0))
    out: list[int] = []
    above = [-1] * counts.shape[1]
    for row_modes, row_counts, row_first in zip(modes.tolist(), counts.tolist(), first_levels.tolist()):
        left = -1
        for column, (mode, count) in enumerate(zip(row_modes, row_counts)):
            first = starts[mode]
            a, b = (left, above[column]) if first == 0 else (-1, remaining_class(count - 1))
            own = -1
            for k in range(count):
                table = levels[first + k]
                if first == 0 and k < tables.context_levels:
                    code = row_first[column][k]
                    a = table.classes[code]
                else:
                    code, a = table.decode(decoder, table.context_index(a, b))
                out.append(code)
                own = a if first + k == 0 else own
                b = remaining_class(count - k - 2)
            left = above[column] = own
    _check_rest(decoder, total)
    return np.array(out, np.uint16)


def _from_first_level(modes: np.ndarray, tables: EntropyTables) -> np.ndarray:
    """Which patches begin with the first level."""
    return np.array(tables.starts)[modes] == 0


def _first_level_grid(
    modes: np.ndarray, counts: np.ndarray, codes: np.ndarray, tables: EntropyTables
) -> tuple[np.ndarray, np.ndarray]:
    """Counts (0 of patches that begin with another level) and codes of a grid, as `ContextModel` takes them."""
    numbers = counts.reshape(-1).astype(np.int64)
    begins = np.cumsum(numbers) - numbers
    index = begins[:, None] + np.arange(tables.context_levels)
    padded = np.concatenate([codes, np.zeros(tables.context_levels, codes.dtype)])
    grid = padded[np.minimum(index, len(padded) - 1)].reshape(*counts.shape, tables.context_levels)
    return np.where(_from_first_level(modes, tables), counts, 0), grid


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
        first_levels = tables.context.bits(np.full((1, len(codes)), codes.shape[1]), codes[None])[: len(total)]
        total[: len(first_levels)] = first_levels
    return total


def patch_bits(
    modes: np.ndarray, counts: np.ndarray, codes: np.ndarray, tables: EntropyTables, exactly: bool = True
) -> np.ndarray:
    """Bits that `encode_patches` takes, to within a few, level by level: float [levels]; much faster.

    If not `exactly`, as if the model had no context model, which is faster still.
    """
    numbers = counts.reshape(-1).astype(np.int64)
    max_count = int(numbers.max(initial=0))
    total = np.zeros(len(tables.levels))
    if not max_count:
        return total
    begins = np.cumsum(numbers) - numbers
    first = np.array(tables.starts)[modes.reshape(-1)]
    before = np.full(len(numbers), -1)
    neighbours = _first_classes(modes, numbers, begins, codes, tables)
    remaining = np.array([remaining_class(n) for n in range(-1, max_count)])  # [1 + levels that remain]
    for k in range(max_count):
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
                a, b = before[chosen], remaining[numbers[chosen] - k]
            if not (exactly and start == 0 and k < tables.context_levels):
                total[start + k] += table.bits(a, b, classes, own)
            before[chosen] = classes
    if exactly and tables.context is not None:
        total[: tables.context_levels] += tables.context.bits(*_first_level_grid(modes, counts, codes, tables))
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
