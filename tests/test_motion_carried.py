"""Motions that patches take over from pictures decoded before."""

from __future__ import annotations

import numpy as np
from kit.vision import CONV, model, scene

from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.motion_carried import Speeds, carried
from josiecodec.bitstream.motion_mixed import MixedSyntax
from josiecodec.bitstream.motion_payload import CARRIED, MIXED, MOST_KEPT
from josiecodec.bitstream.motion_syntax import MotionPicture
from josiecodec.coding import motion_encoder
from josiecodec.coding.motion_plan import plan
from josiecodec.entropy.adaptive_bits import BitDecoder, BitEncoder


def field(h: int, w: int, use: int, *vectors: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    own = np.zeros((len(vectors), 2 * h, 2 * w, 2), np.int16)
    own[:] = np.array(vectors)[:, None, None]
    return np.full((2 * h, 2 * w), use, np.uint8), own


def test_speeds_are_those_of_the_references_that_are_used():
    for use, moved, time in ((1, (-8, 4), 4), (2, (-6, 2), 2), (3, (-14, 6), 6), (0, None, None)):
        speeds = Speeds.of(*field(1, 2, use, (8, -4), (-6, 2)), (-4, 2))
        assert speeds.known.all() == (use > 0)
        if moved:
            assert speeds.moved[0, 1].tolist() == list(moved)
            assert speeds.time[0, 0] == time
    for use, moved in ((1, [-8, 4]), (2, [-6, 0]), (3, [-8, 4])):
        speeds = Speeds.of(*field(1, 1, use, (8, -4), (6, 0)), (-4, -4))
        assert speeds.moved[0, 0].tolist() == moved
        assert speeds.time[0, 0] == 4


def test_motions_are_stretched_to_the_references():
    speeds = Speeds.of(*field(3, 4, 1, (32, -16)), (-16,))
    both = carried({16: speeds}, 8, (-8, 8), 3, 4)
    assert both[..., 1, 0].max() == 0  # there is but one picture
    assert (both[:, :, 0] == [3, 16, -8, -16, 8]).all()
    assert (carried({16: speeds}, 17, (-1,), 3, 4)[:, :, 0] == [1, 2, -1, 0, 0]).all()
    assert (carried({16: speeds}, 19, (-1, -3), 3, 4)[:, :, 0] == [3, 2, -1, 6, -3]).all()


def test_motions_are_looked_up_where_patches_come_from():
    uses, vectors = field(1, 4, 1, (0, 0))
    vectors[0, :, 4:6] = (0, 64)  # the third patch was one to the right, one picture before
    speeds = Speeds.of(uses, vectors, (-1,))
    found = carried({0: speeds}, 1, (-1,), 1, 4)[0, :, 0]
    assert found[:, 0].tolist() == [1, 1, 1, 1]
    assert found[:, 2].tolist() == [0, 0, 0, 0]  # what is there now was at the fourth, which did not move
    uses[:, 6:] = 0
    found = carried({0: Speeds.of(uses, vectors, (-1,))}, 1, (-1,), 1, 4)[0, :, 0]
    assert found[:, 0].tolist() == [1, 1, 0, 0]


def test_nearest_pictures_come_first_and_the_later_of_two():
    kinds = {n: Speeds.of(*field(1, 1, 1, (4 * n, 0)), (-1,)) for n in (4, 6, 8, 12)}
    assert carried(kinds, 6, (-1,), 1, 1)[0, 0, :, 1].tolist() == [24, 32]
    assert carried(kinds, 10, (-1,), 1, 1)[0, 0, :, 1].tolist() == [48, 32]
    assert carried(kinds, 10, (-1000,), 1, 1).max() == 1 << 12


def test_motion_that_goes_on_takes_few_bits():
    sizes = []
    for tools in (MIXED, MIXED | CARRIED):
        syntax, encoder = MixedSyntax(6, 8, tools), BitEncoder()
        random = np.random.default_rng(0)
        speeds = random.integers(-3, 4, (6, 8, 2)).repeat(2, 0).repeat(2, 1)
        pictures = []
        for n in range(1, 6):
            picture = MotionPicture.empty(1, 1, 6, 8)
            picture.shown, picture.sources, picture.uses[:], picture.vectors[0] = n, (-1,), 1, speeds
            pictures.append(picture)
            syntax.code(encoder, picture, 70)
        assert len(syntax.speeds) == (5 if tools & CARRIED else 0)
        data = encoder.finish()
        sizes.append(len(data))
        decoder, syntax = BitDecoder(data), MixedSyntax(6, 8, tools)
        for picture in pictures:
            back = MotionPicture.empty(1, 1, 6, 8)
            back.shown, back.sources = picture.shown, picture.sources
            syntax.code(decoder, back, 70)
            np.testing.assert_array_equal(back.vectors, picture.vectors)
    assert sizes[1] < 0.5 * sizes[0]


def test_what_is_predicted_from_the_past_alone_has_a_second_reference():
    parts = plan(0, 40, {0, 33})
    first = [p for part in parts for p in part if p.depth == 1]
    assert [(p.shown, p.references) for p in first] == [(16, (0,)), (32, (16, 8)), (39, (33,))]
    later = plan(40, 56, set(), [33, 34, 36, 39])
    assert later[0][0].references == (39, 33 if abs(31 - 33) < abs(31 - 34) else 34)
    for part in plan(0, 200, {0}):
        for p in part:
            assert all(abs(r - p.shown) <= 64 for r in p.references)


def test_files_without_and_with_it(monkeypatch):
    codec, x = model(CONV), scene(48, 64, 36)[0]
    for tools in (motion_encoder.TOOLS, motion_encoder.TOOLS & ~CARRIED):
        monkeypatch.setattr(motion_encoder, "TOOLS", tools)
        data = codec.compress(x, kbps=60, pictures_per_second=10)
        pictures = TokenFile.from_bytes(data, tables=codec.known_tables).streams[0].codes.pictures
        assert pictures[0].head.tools & CARRIED == tools & CARRIED
        assert codec.decompress(data).shape == x.shape
        parts = TokenFile.from_bytes(data, tables=codec.known_tables).streams[0].codes.split(10**6, 10**6, 4, 10**6)
        assert [len(p.pictures) for p in parts] == [17, 16, 3]


def test_no_more_pictures_are_kept_than_may_be_predicted_from():
    syntax = MixedSyntax(1, 1, MIXED | CARRIED)
    for n in range(20):
        picture = MotionPicture.empty(1 + n % 2, 1, 1, 1)
        picture.shown, picture.sources = n, (-1,)
        syntax.code(BitEncoder(), picture, 70)
    assert sorted(syntax.speeds) == list(range(20 - 2 * MOST_KEPT, 20, 2))
