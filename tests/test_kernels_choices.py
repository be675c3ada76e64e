"""Compiled choices of an encoder, of motion and of levels, are those of NumPy; so are the files."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from kit.vision import CONV, model, scene

from josiecodec import kernels
from josiecodec.bitstream.motion_mixed import MixedSyntax
from josiecodec.bitstream.motion_payload import MIXED, SHAPES
from josiecodec.bitstream.motion_syntax import PictureSyntax
from josiecodec.coding.motion_merge import saturated, settle
from josiecodec.coding.motion_trellis import BlockBits, choose_levels
from josiecodec.settings import Rate
from josiecodec.vision.motion_planes import Planes, to_planes


def both(monkeypatch, work):
    """What some work gives with kernels, and without."""
    found = []
    for switch in ("on", "off"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        found.append(work())
    return found


def picture(h: int, w: int, seed: int) -> Planes:
    if seed % 3:
        return to_planes(scene(16 * h, 16 * w, 1, seed)[0, :, 0].numpy())
    return to_planes(np.random.default_rng(seed).random((3, 16 * h, 16 * w)).astype(np.float32))


@pytest.mark.parametrize("refs", [1, 2])
@pytest.mark.parametrize(("h", "w"), [(1, 1), (5, 1), (1, 5), (4, 6)])
def test_motions_are_settled_alike(monkeypatch, refs, h, w):
    random = np.random.default_rng(h)
    for seed in range(6):
        own, others = picture(h, w, seed), [picture(h, w, seed + n) for n in range(refs)]
        few = random.integers(-40, 41, (3, 2))
        found = [few[random.integers(0, 3, (h, w))] + random.integers(0, 2, (h, w, 2)) for _ in others]
        sizes = random.random((h, w)) * 20 + 0.1
        prices = 0.09 * sizes * sizes * 30**seed
        carried = np.zeros((h, w, seed % 3, 5), np.int64)
        carried[..., 0] = random.integers(0, 2, carried.shape[:3]) * ((1 << refs) - 1)
        carried[..., 1 : 1 + 2 * refs] = few[0].tolist() * refs
        carried *= carried[..., :1] > 0
        a, b = both(monkeypatch, lambda v=(own, others, found, sizes, prices, carried): settle(*v))
        np.testing.assert_array_equal(a, b)


def test_errors_that_are_saturated():
    errors, scales = np.array([0.0, 1.0, 500.0, 1e7]), np.array([16.0, 0.1, 1000.0, 3e4])
    np.testing.assert_allclose(saturated(errors, scales), scales * np.log1p(errors / scales), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_levels_are_chosen_alike(monkeypatch, kind):
    random = np.random.default_rng(0)
    syntax = PictureSyntax(1, 1) if kind < 2 else MixedSyntax(1, 1, MIXED | SHAPES)
    bits, size = BlockBits.of(syntax.level_chances(1), kind), 256 if kind == 2 else 64
    x = np.abs(random.laplace(0, 1, (400, size)) * np.exp(-np.arange(size) / 10)).astype(np.float32)
    x *= random.choice([0.3, 1, 3, 40, 3000], (400, 1)).astype(np.float32)
    x[random.random(x.shape) < 0.3] = 0
    x[:50] = np.rint(2 * x[:50]) / 2  # where costs are equal
    for price in (0.09, 0.02, 1.7):
        (levels, gain), (wanted, least) = both(monkeypatch, lambda p=price: choose_levels(x, bits, p))
        np.testing.assert_array_equal(levels, wanted)
        np.testing.assert_array_equal(gain, least)
        assert levels.max() > 1000


def test_files_are_the_same_byte_for_byte(monkeypatch):
    codec = model(CONV)
    x = scene(40, 56, 20)[0]
    rates = Rate(kbps=60), Rate(rd_lambda=0.0005)
    a, b = both(monkeypatch, lambda: [codec.compress(x, rate=r, pictures_per_second=10) for r in rates])
    assert a == b
    a, b = both(monkeypatch, lambda: codec.decompress(a[0]).numpy().tobytes())
    assert a == b
