"""Rows of a large picture in the order in which they are asked for, some more of them made each time: what is computed
at the edges of a piece only to be thrown away is less for larger ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


class RowsAhead:
    """Rows, best asked for from top to bottom; single ones elsewhere are made alone.

    Args:
        make: gives rows from one on and up to another, rows being axis `axis`.
        height: of the picture, in rows.
        ahead: rows that are made at a time.
        axis: of rows.
        scale: places that a row has along it.
    """

    def __init__(self, make: Callable[[int, int], np.ndarray], height: int, ahead: int, axis: int, scale: int = 1):
        self._make, self._height, self._ahead, self._axis, self._scale = make, height, ahead, axis, scale
        self._kept: np.ndarray | None = None
        self._first = self._last = 0

    def rows(self, first: int, last: int) -> np.ndarray:
        """Some rows, which are not to be changed."""
        goes_on = self._kept is not None and self._first <= first <= self._last
        if not goes_on:
            self._kept, self._first, self._last = None, first, first
        if last > self._last or self._kept is None:
            end = min(self._height, max(last, self._last + self._ahead)) if goes_on or first == 0 else last
            tail = None if self._last == first else self._cut(first, self._last)
            self._kept = None if tail is None else tail.copy()  # so that all before it is free while more is made
            del tail
            new = self._make(self._last, end)
            self._kept = new if self._kept is None else np.concatenate([self._kept, new], self._axis)
            self._first, self._last = first, end
        return self._cut(first, last)

    def _cut(self, first: int, last: int) -> np.ndarray:
        assert self._kept is not None
        part = slice((first - self._first) * self._scale, (last - self._first) * self._scale)
        return self._kept[(slice(None),) * self._axis + (part,)]
