"""The filter of decoded pictures: compiled and in NumPy, what it leaves alone, and files that name it."""

from __future__ import annotations

import numpy as np
import pytest
from kit.vision import CONV, model, scene

from josiecodec import kernels
from josiecodec.bitstream.motion_payload import FILTER, MIXED, WEAK, MotionPayload, PictureHead
from josiecodec.bitstream.motion_syntax import MotionPicture
from josiecodec.coding.motion_filter import best_filtered
from josiecodec.coding.motion_pictures import Decoded, filtered
from josiecodec.coding.motion_sequence import Vocabulary, from_sequence, to_sequence
from josiecodec.coding.motion_tokens import motion_tokens
from josiecodec.settings import Rate
from josiecodec.vision.enhance_bank import BANKS
from josiecodec.vision.motion_enhance import LEVELS, PAIRS, copied_blocks, enhanced
from josiecodec.vision.motion_planes import Planes
from josiecodec.vision.motion_residual import MAX_STEP


def planes(h: int, w: int, seed: int, smooth: int = 3) -> Planes:
    random = np.random.default_rng(seed)
    made = []
    for n in (16, 8, 8):
        x = random.integers(0, 256, (n * h, n * w))
        for _ in range(smooth):
            x = (x + np.roll(x, 1, 0) + np.roll(x, 1, 1) + np.roll(x, 2, 1)) // 4
        made.append(x.astype(np.uint8))
    return Planes(*made)


def same(a: Planes, b: Planes) -> bool:
    return all(np.array_equal(getattr(a, n), getattr(b, n)) and getattr(a, n).dtype == np.uint8 for n in "yuv")


def test_banks_have_all_classes():
    assert [len(bank) for bank in BANKS] == [5 * (len(LEVELS) + 1) * len(PAIRS)] * 4


@pytest.mark.parametrize(("h", "w", "smooth"), [(1, 1, 0), (3, 5, 0), (4, 3, 3), (2, 4, 9)])
def test_compiled_as_in_numpy(monkeypatch, h, w, smooth):
    pytest.importorskip("numba")
    random = np.random.default_rng(h)
    picture = planes(h, w, h + w, smooth)
    for layer, step in enumerate((0, 90, MAX_STEP)):
        offsets, copied = 4 * random.integers(-12, 13, (h, w)), random.random((h, w, 6)) < 0.3
        found = []
        for switch in ("on", "off"):
            monkeypatch.setenv(kernels.SWITCH, switch)
            found.append(enhanced(picture, step, offsets, layer, copied, 1 + layer))
        assert same(*found)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_one_colour_and_copies_stay(shade):
    flat = Planes(*(np.full((n * 2, n * 3), shade, np.uint8) for n in (16, 8, 8)))
    none = np.zeros((2, 3), int)
    assert same(enhanced(flat, 100, none, 1, np.zeros((2, 3, 6), bool)), flat)
    busy = planes(2, 3, 1)
    assert same(enhanced(busy, 100, none, 1, np.ones((2, 3, 6), bool)), busy)
    assert not same(enhanced(busy, 100, none, 1, np.zeros((2, 3, 6), bool)), busy)


def test_copies_are_what_has_no_levels_and_moves_by_whole_pixels():
    uses, vectors = np.full((4, 4), 3, np.uint8), np.zeros((2, 4, 4, 2), np.int16)
    levels = np.zeros((2, 2, 6, 64), np.int16)
    vectors[0, 0, 1] = 4, -8
    vectors[1, 2, 2] = 1, 0
    uses[:2, 2:] = 0
    levels[1, 0, 2, 5] = 1
    copied = copied_blocks(uses, vectors, levels, None)
    assert copied[0, 0].all()
    assert not copied[0, 1].any()
    assert copied[1, 0].tolist() == [True, True, False, True, True, True]
    assert copied[1, 1].tolist() == [False, True, True, True, False, False]
    whole = copied_blocks(uses, vectors, levels, np.array([[0, 0], [1, 0]], np.uint8))
    assert whole[1, 0].tolist() == [False] * 4 + [True] * 2


def test_heads_say_how_strongly():
    for strength in range(4):
        key = PictureHead(0, 50, tools=MIXED | strength * WEAK)
        other = PictureHead(1, 50, 3, (-4,), tools=strength * WEAK)
        for head in (key, other):
            back = MotionPayload.from_bytes(MotionPayload(head, b"bits").to_bytes())
            assert back.head == head
            assert back.head.strength == strength


@pytest.mark.parametrize("strength", range(4))
def test_strength_that_comes_nearest(strength):
    before, picture = planes(3, 4, 0), MotionPicture.empty(0, 0, 3, 4)
    wanted = filtered(before, 100, picture, strength)
    back, chosen = best_filtered(wanted, before, 100, picture)
    assert chosen == strength
    assert same(back, wanted)
    assert best_filtered(before, before, 100, picture)[1] == 0


def test_files_and_sequences_keep_strengths():
    codec, pictures = model(CONV), scene(48, 64, 10)
    data = codec.compress(pictures, rate=Rate(rd_lambda=3e-4), pictures_per_second=25)
    tokens = list(motion_tokens(codec, data))
    assert any(t.tools & FILTER for t in tokens)
    vocabulary = Vocabulary(codec.codebook_size)
    parts = [to_sequence(t, n, vocabulary) for n, t in enumerate(tokens)]
    back = from_sequence(np.concatenate(parts), *tokens[0].codes.shape[1:], vocabulary, [tokens[0].parities])
    assert [t.tools for t in back] == [t.tools for t in tokens]


def test_decoder_shows_what_its_encoder_predicts_from(monkeypatch):
    codec, pictures = model(CONV), scene(48, 64, 20)
    kept: list[dict[int, Planes]] = [{}, {}]
    keep = Decoded.keep

    def noted(self, shown, planes, layer):
        kept[-1][shown] = planes
        keep(self, shown, planes, layer)

    monkeypatch.setattr(Decoded, "keep", noted)
    data = codec.compress(pictures, rate=Rate(rd_lambda=1e-4), pictures_per_second=25)
    encoded = kept.pop()
    kept.append({})
    codec.decompress(data)
    assert encoded.keys() == kept[-1].keys() == set(range(20))
    assert all(same(planes, kept[-1][n]) for n, planes in encoded.items())
