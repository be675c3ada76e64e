"""Comparing vectors with all codes: see `runtime/residual_search.py`."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled("void(float32[:, ::1], float32[::1], float32[:, ::1])")
def add_and_group(values, bias, tops):
    """Add to rows [n, S] in their place, and find the greatest of every so many of each.

    Args:
        values: rows.
        bias: [S].
        tops: [n, W], of the places k, k + W, k + 2 W ... of a row; W divides S.
    """
    width = tops.shape[1]
    for n in range(len(values)):
        row, top = values[n], tops[n]
        for k in range(width):
            top[k] = -np.inf
        for first in range(0, len(bias), width):
            for k in range(width):
                value = row[first + k] + bias[first + k]
                row[first + k] = value
                top[k] = value if value > top[k] else top[k]
