"""The compiled syntax of predicted pictures writes and reads what the interpreted one does."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip("numba")

from josiecodec import kernels
from josiecodec.bitstream.motion_syntax import MotionPicture, PictureSyntax
from josiecodec.entropy.adaptive_bits import BitDecoder, BitEncoder
from josiecodec.errors import FormatError


def picture_of(seed: int, h: int, w: int, refs: int) -> MotionPicture:
    """One with everything: splits, few motions, dense and sparse levels up to the largest."""
    random = np.random.default_rng(seed)
    picture = MotionPicture.empty(min(refs, 1 + seed % 2) if refs else 0, refs, h, w, bool(seed % 3))
    if refs:
        few = random.integers(-60, 60, (3, refs, 2))
        uses = random.integers(0, 1 << refs, (h, w))
        uses[random.random((h, w)) < 0.3] = (1 << refs) - 1
        picture.uses = uses.repeat(2, 0).repeat(2, 1).astype(np.uint8)
        patches = few[random.integers(0, 3, (h, w))].transpose(2, 0, 1, 3).repeat(2, 1).repeat(2, 2)
        split = (random.random((h, w)) < 0.3).repeat(2, 0).repeat(2, 1)
        patches = patches + split[None, ..., None] * random.integers(-3, 3, patches.shape)
        for r in range(refs):
            patches[r][(picture.uses >> r & 1) == 0] = 0
        picture.vectors = patches.astype(np.int16)
    density = random.random((h, w, 1, 1)) ** 3
    levels = random.laplace(0, 3, (h, w, 6, 64)) * (random.random((h, w, 6, 64)) < density)
    levels[0, 0, 0, 63], levels[0, 0, 1, 0] = -2047, 2047
    picture.levels = np.clip(levels, -2047, 2047).astype(np.int16)
    if picture.varied:
        coded = picture.levels.any((2, 3))
        picture.offsets = np.where(coded, random.integers(-12, 13, (h, w)), 0).astype(np.int8)
    return picture


def same(a: MotionPicture, b: MotionPicture) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("uses", "vectors", "levels", "offsets"))


def contexts_of(syntax: PictureSyntax) -> list[list[int]]:
    return [values for c in syntax.contexts for values in (c.fast, c.slow)]


@pytest.mark.parametrize(("h", "w"), [(5, 7), (1, 1), (4, 1), (1, 6)])
def test_bytes_contexts_and_pictures_are_the_same(monkeypatch, h, w):
    pictures = [picture_of(seed, h, w, (0, 1, 2, 1, 2, 2)[seed]) for seed in range(6)]
    results = {}
    for switch in ("off", "on"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        encoder, syntax = BitEncoder(), PictureSyntax(h, w)
        for picture in pictures:
            syntax.code(encoder, copy.deepcopy(picture))
        results[switch] = encoder.finish(), contexts_of(syntax)
    assert results["on"] == results["off"]
    for switch in ("off", "on"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        decoder, syntax = BitDecoder(results["on"][0]), PictureSyntax(h, w)
        for picture in pictures:
            back = MotionPicture.empty(picture.layer, picture.references, h, w, picture.varied)
            syntax.code(decoder, back)
            assert same(back, picture)
        assert contexts_of(syntax) == results["on"][1]


def test_noise_is_read_alike(monkeypatch):
    random = np.random.default_rng(3)
    errors = set()
    for n in range(120):
        kind = n % 4 if n % 5 else 3
        noise = random.integers(0, 256, int(random.integers(0, 500)), np.uint8)
        data = (bytes([n, 255] * 200), noise.tobytes(), bytes(np.sort(noise)), b"\x00" * n)[kind]
        ends: dict[str, object] = {}
        filled: list[MotionPicture] = []
        for switch in ("off", "on"):
            monkeypatch.setenv(kernels.SWITCH, switch)
            decoder, syntax = BitDecoder(data), PictureSyntax(3, 4)
            picture = MotionPicture.empty(n % 3, n % 3, 3, 4, n % 5 == 0)
            try:
                syntax.code(decoder, picture)
                ends[switch] = decoder.position, decoder.code, decoder.range, contexts_of(syntax)
                filled.append(picture)
            except FormatError as error:
                ends[switch] = str(error)
                errors.add(str(error))
        assert ends["on"] == ends["off"]
        assert not filled or same(*filled)
    assert errors


def test_numbers_that_are_too_large_are_errors(monkeypatch):
    monkeypatch.setenv(kernels.SWITCH, "on")
    for change in ("vectors", "levels", "offsets"):
        picture = picture_of(1, 3, 4, 1)
        array = getattr(picture, change)
        array[...] = {"vectors": 5000, "levels": -2048, "offsets": 100}[change]
        with pytest.raises(FormatError):
            PictureSyntax(3, 4).code(BitEncoder(), picture)


def test_a_large_picture_fits(monkeypatch):
    picture = picture_of(2, 20, 20, 2)
    picture.levels[:] = np.random.default_rng(0).integers(-2047, 2048, picture.levels.shape)
    sizes = {}
    for switch in ("off", "on"):
        monkeypatch.setenv(kernels.SWITCH, switch)
        encoder = BitEncoder()
        PictureSyntax(20, 20).code(encoder, picture)
        sizes[switch] = encoder.finish()
    assert sizes["on"] == sizes["off"]
    assert len(sizes["on"]) > 1 << 18
