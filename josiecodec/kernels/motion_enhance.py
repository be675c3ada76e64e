"""Filter of decoded pictures, cell by cell: see `vision/motion_enhance.py`."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .compiling import compiled, part

SIDE, AROUND, TAPS = 8, 3, 12  # of a cell; pixels around it that are looked at; pairs of them
_WIDE = ir.VectorType(ir.IntType(32), SIDE)


def _reader(context, builder, signature, arguments, n):
    """A function: eight bytes of argument n behind a place, as eight numbers."""
    array = context.make_array(signature.args[n])(context, builder, arguments[n])

    def load(place):
        bytes_ = ir.VectorType(ir.IntType(8), SIDE)
        row = builder.load(builder.bitcast(builder.gep(array.data, [place]), bytes_.as_pointer()))
        row.align = 1
        return builder.zext(row, _WIDE)

    return load


def _item(context, builder, signature, arguments, n, k):
    array = context.make_array(signature.args[n])(context, builder, arguments[n])
    return builder.load(builder.gep(array.data, [ir.Constant(ir.IntType(64), k)]))


def _everywhere(builder, value):
    """A number of 64 bits in all eight places."""
    word = builder.trunc(value, ir.IntType(32))
    first = builder.insert_element(ir.Constant(_WIDE, ir.Undefined), word, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), SIDE), [0] * SIDE)
    return builder.shuffle_vector(first, ir.Constant(_WIDE, ir.Undefined), mask)


def _least(builder, a, b):
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _most(builder, a, b):
    return builder.select(builder.icmp_signed(">", a, b), a, b)


@intrinsic
def _row(typing, padded, at, away, weights, limit, strength, out):
    """Eight filtered pixels, not yet clipped, into `out` int32 [8]; places are not checked."""

    def generate(context, builder, signature, arguments):
        load = _reader(context, builder, signature, arguments, 0)
        place = arguments[1]
        own, high = load(place), _everywhere(builder, arguments[4])
        low = builder.neg(high)
        total = ir.Constant(_WIDE, [0] * SIDE)
        for k in range(TAPS):
            step = _item(context, builder, signature, arguments, 2, k)
            weight = _everywhere(builder, _item(context, builder, signature, arguments, 3, k))
            both = None
            for other in (builder.add(place, step), builder.sub(place, step)):
                difference = _most(builder, low, _least(builder, high, builder.sub(load(other), own)))
                both = difference if both is None else builder.add(both, difference)
            total = builder.add(total, builder.mul(both, weight))
        total = builder.mul(total, _everywhere(builder, arguments[5]))
        total = builder.add(total, ir.Constant(_WIDE, [128] * SIDE))
        result = builder.add(own, builder.ashr(total, ir.Constant(_WIDE, [8] * SIDE)))
        array = context.make_array(signature.args[6])(context, builder, arguments[6])
        kept = builder.store(result, builder.bitcast(array.data, _WIDE.as_pointer()))
        kept.align = 4
        return context.get_dummy_value()

    return types.void(padded, types.int64, away, weights, types.int64, types.int64, out), generate


@intrinsic
def _slopes(typing, padded, at, columns, sums):
    """Adds how much eight pixels differ from the means of two beside them, four ways, to int32 [4, 8]."""

    def generate(context, builder, signature, arguments):
        load = _reader(context, builder, signature, arguments, 0)
        place, columns = arguments[1], arguments[2]
        one = ir.Constant(ir.IntType(64), 1)
        own = load(place)
        twice = builder.add(own, own)
        array = context.make_array(signature.args[3])(context, builder, arguments[3])
        for n, step in enumerate((one, columns, builder.add(columns, one), builder.sub(columns, one))):
            beside = builder.add(load(builder.add(place, step)), load(builder.sub(place, step)))
            difference = builder.sub(twice, beside)
            size = _most(builder, difference, builder.neg(difference))
            where = builder.gep(array.data, [ir.Constant(ir.IntType(64), SIDE * n)])
            where = builder.bitcast(where, _WIDE.as_pointer())
            before = builder.load(where)
            before.align = 4
            kept = builder.store(builder.add(before, size), where)
            kept.align = 4
        return context.get_dummy_value()

    return types.void(padded, types.int64, types.int64, sums), generate


@part
def _kind(sums, size, levels):
    """Class of a cell by its slopes [4]: how large they are beside the step, and which way they lead."""
    across, down, one, other = sums[0], sums[1], sums[2], sums[3]
    activity = 0
    for level in levels:
        activity += (across + down) * 256 >= level * size
    most, least = max(across, down), min(across, down) + 1
    slanted_most, slanted_least = max(one, other), min(one, other) + 1
    if 5 * most < 8 * least and 5 * slanted_most < 8 * slanted_least:
        way = 0
    elif most * slanted_least > slanted_most * least:
        way = 1 if across > down else 2
    else:
        way = 3 if one > other else 4
    return 5 * activity + way


@compiled(
    "uint8[:, ::1](uint8[:, ::1], boolean[:, ::1], int64[:, ::1], int64[:, ::1], int64[::1], int64, int64[:, ::1], "
    "int64)"
)
def enhance(plane, copied, sizes, bank, levels, limit, pairs, strength):
    """A plane of whole cells, filtered.

    Args:
        plane: [8 H, 8 W].
        copied: which cells stay as they are [H, W].
        sizes: of the steps of cells [H, W].
        bank: weights of each class, in 128ths [5 (L + 1), 12].
        levels: [L], of slopes beside the step, in 256ths.
        limit: of differences, beside the step, in 4096ths.
        pairs: [12, 2], down and right, which pixels a weight is for; also those on the other side; at most 3.
        strength: halves of the weights.
    """
    height, width = plane.shape
    out = np.empty((height, width), np.uint8)
    fits = height == SIDE * sizes.shape[0] and width == SIDE * sizes.shape[1] and bank.shape[1] == TAPS
    fits = fits and copied.shape[0] == sizes.shape[0] and copied.shape[1] == sizes.shape[1]
    if not fits or len(pairs) != TAPS or bank.shape[0] < 5 * (len(levels) + 1):
        return out
    columns = width + 2 * AROUND
    padded = np.empty((height + 2 * AROUND) * columns + SIDE, np.uint8)
    for i in range(height + 2 * AROUND):
        source = plane[min(max(i - AROUND, 0), height - 1)]
        for j in range(AROUND):
            padded[i * columns + j], padded[i * columns + AROUND + width + j] = source[0], source[width - 1]
        for j in range(width):
            padded[i * columns + AROUND + j] = source[j]
    away = np.empty(TAPS, np.int64)
    for k in range(TAPS):
        away[k] = min(max(pairs[k, 0], -AROUND), AROUND) * columns + min(max(pairs[k, 1], -AROUND), AROUND)
    parts, line, sums = np.empty(4 * SIDE, np.int32), np.empty(SIDE, np.int32), np.empty(4, np.int64)
    for i in range(height // SIDE):
        for j in range(width // SIDE):
            if copied[i, j]:
                for y in range(SIDE):
                    for x in range(SIDE):
                        out[SIDE * i + y, SIDE * j + x] = plane[SIDE * i + y, SIDE * j + x]
                continue
            size = sizes[i, j]
            first = (SIDE * i + AROUND) * columns + SIDE * j + AROUND
            parts[:] = 0
            for y in range(SIDE):
                _slopes(padded, first + y * columns, columns, parts)
            for n in range(4):
                sums[n] = 0
                for x in range(SIDE):
                    sums[n] += parts[SIDE * n + x]
            weights = bank[_kind(sums, size, levels)]
            most = max((size * limit + 2048) >> 12, 1)
            for y in range(SIDE):
                _row(padded, first + y * columns, away, weights, most, strength, line)
                for x in range(SIDE):
                    out[SIDE * i + y, SIDE * j + x] = min(max(line[x], 0), 255)
    return out
