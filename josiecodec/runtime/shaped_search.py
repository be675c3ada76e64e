"""The search for codes that every vector shapes for itself, in NumPy: see `ShapedResidualQuantizer`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import CodesError
from .quantizer import greatest
from .shaped_codes import ShapedCodes

AT_ONCE = 128  # vectors compared with all codes together
ROWS = 64  # matrix kernels treat the rows of whole blocks alike


def search(
    codes: ShapedCodes,
    x: np.ndarray,
    shapes: np.ndarray,
    beams: int,
    weights: Sequence[np.ndarray] | None = None,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Codes int64 [N, L] of vectors [N, D] with shapes [L, N, D]; arguments as of `ShapedResidualQuantizer.encode`."""
    found = np.zeros((len(x), len(shapes)), np.int64)
    for part, some in _parts(codes, x, shapes, beams, weights, counts):
        found[part, : some.shape[1]] = some
    return found


def search_paths(
    codes: ShapedCodes,
    x: np.ndarray,
    shapes: np.ndarray,
    beams: int,
    weights: Sequence[np.ndarray] | None = None,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """What `search` finds with every number of levels up to `counts`: [N, L, L], with c levels in row c - 1."""
    found = np.zeros((len(x), len(shapes), len(shapes)), np.int64)
    kept: dict[int, np.ndarray] = {}
    for part, some in _parts(codes, x, shapes, beams, weights, counts, kept):
        for k in range(some.shape[1]):
            found[part[: len(kept[k])], k, : k + 1] = kept[k]
    return found


def _parts(
    codes: ShapedCodes,
    x: np.ndarray,
    shapes: np.ndarray,
    beams: int,
    weights: Sequence[np.ndarray] | None,
    counts: np.ndarray | None,
    kept: dict[int, np.ndarray] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices of a few vectors at a time, and `search` of these."""
    if len(shapes) > codes.levels:
        raise CodesError(f"{len(shapes)} levels of codes for a stack of {codes.levels}")
    weights = [np.ones_like(x)] * len(shapes) if weights is None else weights
    counts = np.full(len(x), len(shapes)) if counts is None else counts
    # Those of most levels first, so that those still searched lie together.
    order = np.argsort(-counts, kind="stable")
    for first in range(0, len(order), AT_ONCE):
        part = order[first : first + AT_ONCE]
        levels = int(counts[part[0]])
        own = [w[part] for w in weights[:levels]]
        yield part, _search(codes, x[part], shapes[:levels, part], own, beams, counts[part], kept)


def _search(
    codes: ShapedCodes,
    x: np.ndarray,
    shapes: np.ndarray,
    weights: Sequence[np.ndarray],
    beams: int,
    counts: np.ndarray,
    kept: dict[int, np.ndarray] | None,
) -> np.ndarray:
    """`search` of a few vectors in falling order of counts; no row depends on those beside it.

    Args:
        kept: is given the best codes after each level k, [n, k + 1] of the n vectors that have more levels than k.
    """
    tables, squares = codes.tables
    found = np.zeros((len(x), len(shapes)), np.int64)
    searched = [int((counts > k).sum()) for k in range(len(shapes))] + [0]
    rest = x[: searched[0], None]  # [n, m, D], what each hypothesis leaves over
    chosen: list[np.ndarray] = []  # the code of each level so far in each hypothesis, [n, m]
    for k in range(len(shapes)):
        n = searched[k]
        (book, turn), shape, weight = codes.level(k), shapes[k, :n], weights[k][:n]
        # w |r - a e|^2 = w |r|^2 - 2 ((w r a).e - (w a^2).e^2 / 2), all codes of a vector at once
        own = _rows(np.roll(np.square(shape) * weight, -turn, -1), squares[book])
        query = np.roll(rest * (shape * weight)[:, None], -turn, -1)
        score = _rows(query.reshape(-1, query.shape[-1]), tables[book]).reshape(*query.shape[:2], -1)
        score += own[:, None]
        offset = np.float32(-0.5) * (np.square(rest) * weight[:, None]).sum(-1)
        places = greatest(score, offset, beams)
        parent, code = places // score.shape[-1], places % score.shape[-1]
        taken = shape[:, None] * codes.vectors(k, code)
        chosen = [*(np.take_along_axis(before, parent, 1) for before in chosen), code]
        if kept is not None:
            kept[k] = np.stack([before[:, 0] for before in chosen], -1)
        stay = searched[k + 1]
        if stay < n:  # the others have all their levels
            found[stay:n, : k + 1] = np.stack([before[stay:, 0] for before in chosen], -1)
            chosen = [before[:stay] for before in chosen]
            rest, parent, taken = rest[:stay], parent[:stay], taken[:stay]
        rest = np.take_along_axis(rest, parent[:, :, None], 1) - taken
    return found


def _rows(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """[N, in] times a matrix [in, out], rows filled up to whole blocks."""
    missing = -len(x) % ROWS
    if missing:
        x = np.concatenate([x, np.zeros((missing, x.shape[1]), x.dtype)])
    product: np.ndarray = (x @ matrix)[: len(x) - missing]
    return product
