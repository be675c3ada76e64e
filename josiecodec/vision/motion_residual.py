"""What a motion-compensated prediction leaves over, as a sparse sum of codes.

A patch has six blocks of 8 x 8 coefficients (DCT): four of luma and one each of the two chroma planes. One codebook of
2048 codes serves all levels: a code is one coefficient with a sign and a magnitude, in units of the picture's step. So
the levels of a patch are the atoms of a sparse approximation, and a patch has as many of them as it is worth.
"""

from __future__ import annotations

import numpy as np

from ..kernels import family, ready
from .motion_planes import PATCH, Planes

BLOCKS, SIZE = 6, 64  # blocks of a patch, coefficients of a block
MAX_MAGNITUDE = 2047  # of a coefficient, in steps
MAX_STEP = 160
EDGES = (24, 10, 3)  # of a step, in 16ths: jumps and slopes beside them that are smoothed, and the most that is moved
CHROMA_FINER = 8  # by how many steps chroma, whose errors spread over four pixels, is quantized finer
_SIXTEENTHS = (4096, 4277, 4467, 4664, 4871, 5087, 5312, 5547, 5793, 6049, 6317, 6597, 6889, 7194, 7512, 7845)
_UNIT = 16  # steps are multiples of 1 / _UNIT
_BITS = 12  # of the fraction of the transform's numbers


def _zigzag(size: int) -> np.ndarray:
    order = sorted((i + j, i if (i + j) % 2 else j, i, j) for i in range(size) for j in range(size))
    return np.array([size * i + j for _, _, i, j in order])


def _cosines(size: int) -> np.ndarray:
    k, x = np.arange(size)[:, None], np.arange(size)[None]
    found: np.ndarray = np.cos((2 * x + 1) * k * np.pi / (2 * size)) * np.where(k, 2, 2**0.5) / (2 * size) ** 0.5
    return found


def _basis(size: int) -> np.ndarray:
    """Both directions at once."""
    return np.ascontiguousarray(np.kron(_cosines(size), _cosines(size))[_zigzag(size)].T.astype(np.float32))


def _fold() -> np.ndarray:
    """Where coefficients of 16 x 16, in scan order, are kept among those of four blocks: 64 x block + place [256].

    Coefficient (i, j) is in block 2 (i mod 2) + j mod 2, at (floor(i / 2), floor(j / 2)).
    """
    back = np.argsort(_zigzag(8))
    down, across = np.divmod(_zigzag(16), 16)
    found: np.ndarray = 64 * (2 * (down % 2) + across % 2) + back[8 * (down // 2) + across // 2]
    return found


SCAN, LARGE_SCAN, FOLD = _zigzag(8), _zigzag(16), _fold()
_BASIS, _LARGE_BASIS = _basis(8), _basis(16)
_INTEGER = np.rint(_cosines(8) * (1 << _BITS))  # whole numbers as float64: exact, and fast to multiply
_LARGE_INTEGER = np.rint(_cosines(16) * (1 << _BITS)).astype(np.int64)


def step_size(step: int, chroma: bool) -> int:
    """Step of a picture, 0 .. `MAX_STEP`, as a size in units of 1/16 of a pixel's unit; it doubles every 16 steps."""
    whole, part = divmod(max(step - CHROMA_FINER * chroma, 0), 16)
    return (_SIXTEENTHS[part] << whole) + 128 >> 8


_STEP_SIZES = np.array([[step_size(n, chroma) for n in range(MAX_STEP + 1)] for chroma in (False, True)])


def to_blocks(y: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Planes as blocks [h, w, 6, 8, 8] of patches."""
    h, w = u.shape[0] // 8, u.shape[1] // 8
    luma = y.reshape(h, 2, 8, w, 2, 8).transpose(0, 3, 1, 4, 2, 5).reshape(h, w, 4, 8, 8)
    chroma = (c.reshape(h, 8, w, 8).transpose(0, 2, 1, 3)[:, :, None] for c in (u, v))
    return np.concatenate([luma, *chroma], 2)


def from_blocks(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverse of `to_blocks`."""
    h, w = blocks.shape[:2]
    y = blocks[:, :, :4].reshape(h, w, 2, 2, 8, 8).transpose(0, 2, 4, 1, 3, 5).reshape(h * PATCH, w * PATCH)
    u, v = (blocks[:, :, 4 + i].transpose(0, 2, 1, 3).reshape(8 * h, 8 * w) for i in (0, 1))
    return y, u, v


def transform(blocks: np.ndarray) -> np.ndarray:
    """Orthonormal coefficients float32 [..., 64] in scan order, of blocks [..., 8, 8]."""
    return (blocks.reshape(-1, SIZE).astype(np.float32) @ _BASIS).reshape(*blocks.shape[:-2], SIZE)


def transform_whole(blocks: np.ndarray) -> np.ndarray:
    """Orthonormal coefficients float32 [..., 256] of luma as one block, of its four blocks [..., 4, 8, 8]."""
    square = blocks.reshape(-1, 2, 2, 8, 8).swapaxes(2, 3).reshape(-1, 256).astype(np.float32)
    return (square @ _LARGE_BASIS).reshape(*blocks.shape[:-3], 256)


def inverse(coefficients: np.ndarray) -> np.ndarray:
    """Blocks float32 [..., 8, 8] of coefficients [..., 64] in scan order; decoders do it in integers."""
    return (coefficients @ _BASIS.T).reshape(*coefficients.shape[:-1], 8, 8).astype(np.float32)


def add_residual(
    prediction: Planes,
    levels: np.ndarray,
    step: int,
    offsets: np.ndarray | None = None,
    shapes: np.ndarray | None = None,
) -> Planes:
    """A prediction and levels int16 [h, w, 6, 64] in scan order -> the decoded picture.

    `offsets` [h, w] are added to the steps of patches, within 0 .. `MAX_STEP`; luma of patches with 1 in `shapes`
    [h, w] is one block of 16 x 16, whose coefficients are kept as `FOLD` says.
    """
    coded: np.ndarray = np.any(levels, axis=-1)
    if shapes is None:
        shapes = np.zeros(coded.shape[:2], np.uint8)
    coded[..., :4] |= ((shapes > 0) & coded[..., :4].any(-1))[..., None]
    if not coded.any():
        return prediction
    luma_sizes, chroma_sizes = sizes_of(step, np.zeros(coded.shape[:2], int) if offsets is None else offsets)
    kernels = family("motion_residual")
    if kernels is not None:
        y, u, v = (np.array(p) for p in (prediction.y, prediction.u, prediction.v))
        levels, shift = ready(levels, np.int16), 2 * _BITS + _UNIT.bit_length() - 1
        shapes = ready(shapes, np.uint8)
        scans = SCAN, _INTEGER.astype(np.int64), FOLD, LARGE_SCAN, _LARGE_INTEGER
        kernels.add_levels(y, u, v, levels, shapes, luma_sizes, chroma_sizes, *scans, shift)
        cells, sizes = np.ascontiguousarray(cells_of(coded[..., :4])), luma_sizes.repeat(2, 0).repeat(2, 1)
        kernels.smooth_edges(y, cells, shapes, sizes, np.array(EDGES))
        return Planes(y, u, v)
    blocks = to_blocks(prediction.y, prediction.u, prediction.v)
    small = coded.copy()
    small[shapes > 0, :4] = False
    where = np.nonzero(small)
    size = np.where(where[2] < 4, luma_sizes[where[:2]], chroma_sizes[where[:2]])
    coefficients = np.zeros((len(size), SIZE))
    coefficients[:, SCAN] = levels[where].astype(np.float64) * size[:, None]
    square = coefficients.reshape(-1, 8, 8)
    whole = _INTEGER.T @ square @ _INTEGER  # below 2^53: exact whatever the order
    scale = 2.0 ** (2 * _BITS) * _UNIT
    residual = np.floor(whole / scale + 0.5).astype(np.int32)
    blocks[where] = np.clip(blocks[where] + residual, 0, 255).astype(np.uint8)
    i, j = np.nonzero((shapes > 0) & coded[..., 0])
    if len(i):
        coefficients = np.zeros((len(i), 256), np.int64)
        coefficients[:, LARGE_SCAN] = levels[i, j, :4].reshape(-1, 256)[:, FOLD].astype(np.int64)
        square = coefficients.reshape(-1, 16, 16) * luma_sizes[i, j][:, None, None]
        large = (_LARGE_INTEGER.T @ square @ _LARGE_INTEGER) + (1 << 2 * _BITS + 3) >> 2 * _BITS + 4
        four = large.reshape(-1, 2, 8, 2, 8).swapaxes(2, 3).reshape(-1, 4, 8, 8)
        blocks[i, j, :4] = np.clip(blocks[i, j, :4] + four, 0, 255).astype(np.uint8)
    y, u, v = (np.ascontiguousarray(p) for p in from_blocks(blocks))
    _smooth_edges(y, cells_of(coded[..., :4]), shapes > 0, luma_sizes.repeat(2, 0).repeat(2, 1))
    return Planes(y, u, v)


def sizes_of(step: int, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of steps of patches [h, w] in units of 1/16 of a pixel's unit, of luma and of chroma."""
    steps = np.clip(step + offsets.astype(int), 0, MAX_STEP)
    return _STEP_SIZES[0, steps], _STEP_SIZES[1, steps]


def cells_of(luma: np.ndarray) -> np.ndarray:
    """[h, w, 4] of the blocks of luma -> [2 h, 2 w]."""
    h, w = luma.shape[:2]
    return luma.reshape(h, w, 2, 2).transpose(0, 2, 1, 3).reshape(2 * h, 2 * w)


def _smooth_edges(plane: np.ndarray, coded: np.ndarray, whole: np.ndarray, sizes: np.ndarray) -> None:
    """Take small jumps off the edges between cells one of which has levels; upright edges first, then level ones.

    By the sizes of the steps of cells; where the two beside an edge differ, by the smaller one. Patches that
    are `whole` [H / 2, W / 2] have no edges inside.
    """
    for x, has, one, size in ((plane.T, coded.T, whole.T, sizes.T), (plane, coded, whole, sizes)):
        rows = x.reshape(len(x) // 8, 8, -1)
        between = has[:-1] | has[1:]
        between[::2] &= ~one.repeat(2, 1)
        near = between.repeat(8, 1)
        jump, flat, most = (np.minimum(size[:-1], size[1:]).repeat(8, 1) * n >> 8 for n in EDGES)
        b, a, c, d = (r.astype(np.int32) for r in (rows[:-1, 6], rows[:-1, 7], rows[1:, 0], rows[1:, 1]))
        step_across = c - a
        apply = near & (np.abs(step_across) < jump) & (np.abs(b - a) < flat) & (np.abs(d - c) < flat)
        change = np.clip(3 * step_across + (b - d) + 4 >> 3, -most, most) * apply
        rows[:-1, 7] = np.clip(a + change, 0, 255).astype(np.uint8)
        rows[1:, 0] = np.clip(c - change, 0, 255).astype(np.uint8)


# Levels as tokens ----------------------------------------------------------------------------------

CODES = 2048  # of the one codebook; the last few are not used
_LARGE = 21  # places of a block, the lowest frequencies, that have codes of large magnitude, too
_MAGNITUDES = (16, 4, 2, 1)


def to_codes(levels: np.ndarray) -> np.ndarray:
    """Levels int16 [h, w, 6, 64] as codes int16 [K, h, w], -1 where a patch has no further one.

    A code adds a magnitude to one coefficient: with `at` = 64 times the block plus the place in scan order it is
    4 `at` + 2 (magnitude 2) + 1 (negative); in the first 21 places of a block magnitudes 4 and 16 have the codes
    1536 + 4 (21 block + place) + 2 (magnitude 16) + 1 (negative). Those of a patch go by `at`, large ones first.
    """
    h, w = levels.shape[:2]
    flat = levels.reshape(h * w, BLOCKS * SIZE)
    patch, at = np.nonzero(flat)
    value = flat[patch, at].astype(np.int64)
    rest, negative = np.abs(value), (value < 0).astype(np.int64)
    block, place = at // SIZE, at % SIZE
    patches, ats, orders, codes = [], [], [], []
    for order, magnitude in enumerate(_MAGNITUDES):
        large = magnitude > 2
        count = np.where(place < _LARGE, rest // magnitude, 0) if large else rest // magnitude
        rest = rest - count * magnitude
        first = 1536 + 4 * (_LARGE * block + place) if large else 4 * at
        code = first + 2 * (magnitude in (2, 16)) + negative
        patches.append(patch.repeat(count))
        ats.append(at.repeat(count))
        orders.append(np.full(int(count.sum()), order))
        codes.append(code.repeat(count))
    owner, code = np.concatenate(patches), np.concatenate(codes)
    sequence = np.lexsort((np.concatenate(orders), np.concatenate(ats), owner))
    owner, code = owner[sequence], code[sequence]
    counts = np.bincount(owner, minlength=h * w)
    rank = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
    out = np.full((int(counts.max(initial=0)), h * w), -1, np.int16)
    out[rank, owner] = code
    return out.reshape(-1, h, w)


def from_codes(codes: np.ndarray) -> np.ndarray:
    """The inverse of `to_codes`; codes that are not used add nothing."""
    h, w = codes.shape[1:]
    levels = np.zeros((h * w, BLOCKS * SIZE), np.int64)
    _, patch = np.nonzero(codes.reshape(-1, h * w) >= 0)
    code = codes.reshape(-1, h * w)[codes.reshape(-1, h * w) >= 0].astype(np.int64)
    large = code >= 1536
    rest = np.where(large, code - 1536, code) // 4
    at = np.where(large, rest // _LARGE * SIZE + rest % _LARGE, rest)
    magnitude = np.where(large, 4, 1) << np.where(large, 2, 1) * (code >> 1 & 1)
    known = at < BLOCKS * SIZE
    np.add.at(levels, (patch[known], at[known]), np.where(code & 1, -magnitude, magnitude)[known])
    return levels.clip(-MAX_MAGNITUDE, MAX_MAGNITUDE).astype(np.int16).reshape(h, w, BLOCKS, SIZE)
