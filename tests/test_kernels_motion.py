"""Compiled prediction and residual of pictures with motion give what NumPy gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")

from josiecodec import kernels
from josiecodec.vision.motion_field import MotionField, compensate
from josiecodec.vision.motion_planes import Planes, to_rgb
from josiecodec.vision.motion_residual import MAX_STEP, add_residual


def both(monkeypatch, work):
    """What some work gives with kernels, and without."""
    found = []
    for switch in ("on", "off"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        found.append(work())
    return found


def equal(a: Planes, b: Planes) -> bool:
    return all(np.array_equal(getattr(a, p), getattr(b, p)) and getattr(a, p).dtype == np.uint8 for p in "yuv")


def noise(h: int, w: int, seed: int = 0) -> Planes:
    """Planes with the hardest edges."""
    random = np.random.default_rng(seed)
    parts = [random.integers(0, 256, (n * h, n * w)).astype(np.uint8) for n in (16, 8, 8)]
    return Planes(*(np.where(random.random(p.shape) < 0.3, 255 * (p > 128), p).astype(np.uint8) for p in parts))


def field(h: int, w: int, refs: int, reach: int, seed: int) -> MotionField:
    """Cells of which many are like their neighbours."""
    random = np.random.default_rng(seed)
    uses = random.integers(0, 1 << refs, (h, w)).repeat(2, 0).repeat(2, 1).astype(np.uint8)
    vectors = random.integers(-reach, reach + 1, (4, refs, 2))[random.integers(0, 4, (2 * h, 2 * w))]
    vectors = np.ascontiguousarray(vectors.transpose(2, 0, 1, 3)).astype(np.int16)
    for r in range(refs):
        vectors[r][(uses >> r & 1) == 0] = 0
    return MotionField(uses, vectors)


@pytest.mark.parametrize(("h", "w"), [(1, 1), (3, 5)])
def test_quarters_of_pixels(monkeypatch, h, w):
    p = noise(h, w)
    with_kernels, without = both(monkeypatch, lambda: replace(p).reference)
    assert equal(with_kernels, without)
    assert with_kernels.y.shape == without.y.shape


@pytest.mark.parametrize("refs", [1, 2])
@pytest.mark.parametrize(("h", "w", "reach"), [(1, 1, 90), (3, 5, 40), (4, 2, 32000)])
def test_prediction(monkeypatch, refs, h, w, reach):
    references = [noise(h, w, n).reference for n in range(refs)]
    for seed in range(4):
        moved = field(h, w, refs, reach, seed)
        for overlapped in (True, False):
            a, b = both(monkeypatch, lambda m=moved, o=overlapped: compensate(references, m, o))
            assert equal(a, b)


def test_residual(monkeypatch):
    random = np.random.default_rng(0)
    for n, step in enumerate((0, 30, 72, 100, MAX_STEP)):
        shape = 3, 4, 6, 64
        levels = np.rint(random.laplace(0, (0.3, 3, 900)[n % 3], shape) * (random.random(shape) < 0.2))
        levels = levels.clip(-2047, 2047).astype(np.int16)
        levels[random.random(shape[:3]) < 0.4] = 0
        if not n:
            levels[1, 1, 0], levels[1, 2, 5] = 2047, -2047
        offsets = random.integers(-48, 49, (3, 4)) if n % 2 else None
        p = noise(3, 4, n) if n < 4 else Planes(*(np.full((k * 3, k * 4), 128, np.uint8) for k in (16, 8, 8)))
        before = [x.copy() for x in (p.y, p.u, p.v)]
        a, b = both(monkeypatch, lambda p=p, v=levels, s=step, o=offsets: add_residual(p, v, s, o))
        assert equal(a, b)
        assert not equal(a, p)
        assert all(np.array_equal(x, y) for x, y in zip((p.y, p.u, p.v), before))


def test_flat_edges_are_smoothed_alike(monkeypatch):
    random = np.random.default_rng(1)
    soft = Planes(*(random.integers(100, 112, (n * 4, n * 5)).astype(np.uint8) for n in (16, 8, 8)))
    levels = np.zeros((4, 5, 6, 64), np.int16)
    levels[random.random((4, 5, 6)) < 0.5, 0] = 1
    a, b = both(monkeypatch, lambda: add_residual(soft, levels, 70, random.integers(0, 1, (4, 5))))
    assert equal(a, b)


@pytest.mark.parametrize(("h", "w", "size"), [(3, 4, (48, 64)), (3, 4, (33, 50)), (1, 1, (1, 1)), (1, 2, (16, 31))])
def test_colours_are_the_same_bits(monkeypatch, h, w, size):
    a, b = both(monkeypatch, lambda: to_rgb(noise(h, w), *size))
    assert a.dtype == b.dtype == np.float32
    assert a.shape == (3, *size)
    assert np.array_equal(a.view(np.int32), b.view(np.int32))
