"""Compiled motion search finds the very vectors that NumPy finds."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from kit.vision import scene

from josiecodec import kernels
from josiecodec.vision.motion_planes import Planes, to_planes
from josiecodec.vision.motion_search import LONGEST, coarse, refine, search


def pair(height: int, width: int, seed: int) -> tuple[Planes, Planes]:
    """Two pictures: of one scene, of noise (odd seeds), or flat ones (every fourth)."""
    if seed % 4 == 3:
        flat = to_planes(np.full((3, height, width), 0.3, np.float32))
        return flat, to_planes(np.full((3, height, width), 0.8, np.float32))
    if seed % 2:
        random = np.random.default_rng(seed)
        return tuple(to_planes(random.random((3, height, width)).astype(np.float32)) for _ in range(2))
    x = scene(height, width, 2, seed)[0].numpy()
    return to_planes(np.ascontiguousarray(x[:, 0])), to_planes(np.ascontiguousarray(x[:, 1]))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 96), (80, 32)])
def test_vectors_and_errors_are_the_same(monkeypatch, height, width):
    random = np.random.default_rng(0)
    for seed in range(8):
        a, b = pair(height, width, seed)
        hints = [random.integers(-30, 31, (*a.grid, 2)) * n for n in range(seed % 4)]
        found = {}
        for switch in ("off", "on"):
            monkeypatch.setenv(kernels.SWITCH, switch)
            first = search(a, coarse(a.y), b, coarse(b.y), hints, 0.3 + 3 * seed)
            second = refine(b, a, -first[0], 2.5)
            found[switch] = [*first, *second]
        for one, other in zip(found["on"], found["off"]):
            np.testing.assert_array_equal(one, other)
            assert one.dtype.kind == other.dtype.kind


def test_long_vectors_are_kept_within_bounds(monkeypatch):
    a, b = pair(48, 64, 1)
    start = np.full((*a.grid, 2), 3000)
    found = {}
    for switch in ("off", "on"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        found[switch] = [*refine(a, b, start, 1.0), *refine(a, b, start // 3000 * LONGEST, 1.0)]
    for one, other in zip(found["on"], found["off"]):
        np.testing.assert_array_equal(one, other)
