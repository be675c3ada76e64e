"""Pictures written with mixed probabilities, compiled and interpreted; luma that is one block."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
from kit.vision import CONV, model, scene

from josiecodec import kernels
from josiecodec.bitstream import motion_mixed
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.motion_mixed import MixedSyntax
from josiecodec.bitstream.motion_payload import CARRIED, FILTER, MIXED, SHAPES, MotionPayload, MotionRows, PictureHead
from josiecodec.bitstream.motion_syntax import MAX_OFFSET, MAX_VECTOR, MotionPicture
from josiecodec.coding.motion_sequence import Vocabulary, from_sequence, to_sequence
from josiecodec.coding.motion_tokens import from_motion_tokens, motion_tokens
from josiecodec.entropy.adaptive_bits import BitDecoder, BitEncoder
from josiecodec.entropy.range_coder import check_end
from josiecodec.errors import CodesError, FormatError
from josiecodec.vision import motion_residual
from josiecodec.vision.motion_planes import Planes
from josiecodec.vision.motion_residual import add_residual, transform_whole

TOOLS = MIXED | SHAPES | CARRIED
SWITCHES = ("off", "on") if kernels.family("motion_levels") else ("off",)


def picture_of(seed: int, h: int, w: int, refs: int, tools: int = TOOLS) -> MotionPicture:
    """One with everything: splits, few motions, dense and sparse levels up to the largest, blocks of both sizes."""
    random = np.random.default_rng(seed)
    picture = MotionPicture.empty(min(refs, 1 + seed % 2), refs, h, w, bool(seed % 3), bool(tools & SHAPES))
    if refs:
        uses = random.integers(0, 1 << refs, (h, w))
        picture.uses[:] = uses.repeat(2, 0).repeat(2, 1)
        few = random.integers(-60, 60, (3, refs, 2))[random.integers(0, 3, (h, w))].transpose(2, 0, 1, 3)
        split = (random.random((h, w)) < 0.3).repeat(2, 0).repeat(2, 1)[None, ..., None]
        vectors = few.repeat(2, 1).repeat(2, 2) + split * random.integers(-3, 3, (refs, 2 * h, 2 * w, 2))
        picture.vectors[:] = vectors * np.stack([picture.uses >> r & 1 for r in range(refs)])[..., None]
    picture.shown, picture.sources = seed, ((), (-seed or -1,), (-seed or -1, 3))[refs]
    density = random.random((h, w, 1, 1)) ** 3
    levels = random.laplace(0, 2, (h, w, 6, 64)) * (random.random((h, w, 6, 64)) < density)
    levels[0, 0, 0, 63], levels[0, 0, 1, 0], levels[-1, -1] = -2047, 2047, 0
    picture.levels[:] = np.clip(levels, -2047, 2047)
    coded = picture.levels.any((2, 3))
    if picture.varied:
        picture.offsets[:] = random.integers(-12, 13, (h, w)) * coded
    if picture.shapes is not None:
        picture.shapes[:] = (random.random((h, w)) < 0.5) & picture.levels[:, :, :4].any((2, 3))
    return picture


def same(a: MotionPicture, b: MotionPicture) -> bool:
    names = ("uses", "vectors", "levels", "offsets", "shapes")
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in names if getattr(b, n) is not None)


def state_of(syntax: MixedSyntax) -> list[list[int]]:
    return [x.ravel().tolist() for x in (syntax.chances, syntax.counts, syntax.weights, syntax.past, syntax.offsets)]


@pytest.mark.parametrize(("h", "w", "tools"), [(3, 4, TOOLS), (1, 1, TOOLS), (3, 1, MIXED), (1, 3, TOOLS)])
def test_pictures_come_back_and_bytes_are_the_same(monkeypatch, h, w, tools):
    pictures = [picture_of(seed, h, w, (0, 1, 2, 2)[seed], tools) for seed in range(4)]
    results = {}
    for switch in SWITCHES:
        monkeypatch.setenv(kernels.SWITCH, switch)
        encoder, syntax = BitEncoder(), MixedSyntax(h, w, tools)
        for picture in pictures:
            syntax.code(encoder, copy.deepcopy(picture), 70)
        results[switch] = encoder.finish(), state_of(syntax)
    assert results[SWITCHES[-1]] == results["off"]
    for switch in SWITCHES:
        monkeypatch.setenv(kernels.SWITCH, switch)
        decoder, syntax = BitDecoder(results["off"][0]), MixedSyntax(h, w, tools)
        for picture in pictures:
            back = MotionPicture.empty(picture.layer, picture.references, h, w, picture.varied, bool(tools & SHAPES))
            back.shown, back.sources = picture.shown, picture.sources
            syntax.code(decoder, back, 70)
            assert same(back, picture)
        check_end(decoder)
        assert state_of(syntax) == results["off"][1]


def test_noise_is_read_alike(monkeypatch):
    random = np.random.default_rng(3)
    errors = set()
    for n in range(40):
        kind = n % 4 if n % 5 else 3
        noise = random.integers(0, 256, int(random.integers(0, 200)), np.uint8)
        data = (bytes([n, 255] * 100), noise.tobytes(), bytes(np.sort(noise)), b"\x00" * n)[kind]
        ends: dict[str, object] = {}
        filled = []
        for switch in SWITCHES:
            monkeypatch.setenv(kernels.SWITCH, switch)
            decoder, syntax = BitDecoder(data), MixedSyntax(2, 3, TOOLS)
            picture = MotionPicture.empty(n % 3, n % 3, 2, 3, n % 5 == 0, True)
            picture.sources = (-1, 2)[: n % 3]
            try:
                syntax.code(decoder, picture, 4 * n)
                ends[switch] = decoder.position, decoder.code, decoder.range, state_of(syntax)
                filled.append(picture)
                assert np.abs(picture.vectors).max(initial=0) <= MAX_VECTOR
                assert np.abs(picture.offsets).max() <= MAX_OFFSET
            except FormatError as error:
                ends[switch] = str(error)
                errors.add(str(error))
        assert ends[SWITCHES[-1]] == ends["off"]
        assert not filled or same(filled[0], filled[-1])
    assert errors


@pytest.mark.parametrize(("name", "value"), [("vectors", 5000), ("levels", -2048), ("offsets", 100)])
def test_numbers_that_are_too_large_are_errors(monkeypatch, name, value):
    for switch in SWITCHES:
        monkeypatch.setenv(kernels.SWITCH, switch)
        picture = picture_of(1, 2, 3, 1)
        getattr(picture, name)[...] = value
        with pytest.raises(FormatError):
            MixedSyntax(2, 3, TOOLS).code(BitEncoder(), picture, 70)


def test_what_pictures_do_not_need_does_not_matter(monkeypatch):
    for switch in SWITCHES:
        monkeypatch.setenv(kernels.SWITCH, switch)
        picture, other = picture_of(1, 2, 3, 1), picture_of(1, 2, 3, 1)
        empty = ~picture.levels.any((2, 3))
        other.offsets[empty], other.shapes[~other.levels[:, :, :4].any((2, 3))] = 7, 1
        assert empty.any()
        sizes = []
        for p in (picture, other):
            encoder = BitEncoder()
            MixedSyntax(2, 3, TOOLS).code(encoder, p, 70)
            sizes.append(encoder.finish())
        assert sizes[0] == sizes[1]


def test_a_copy_goes_on_by_itself():
    syntax = MixedSyntax(2, 3, TOOLS)
    syntax.code(BitEncoder(), picture_of(0, 2, 3, 0), 60)
    before, other = state_of(syntax), syntax.copy()
    assert state_of(other) == before
    other.code(BitEncoder(), picture_of(1, 2, 3, 1), 60)
    assert state_of(syntax) == before != state_of(other)


def test_scans_are_those_of_the_transform():
    places, _, first, _, fold = motion_mixed.tables()
    np.testing.assert_array_equal(fold, motion_residual.FOLD)
    assert sorted(fold.tolist()) == list(range(256))
    assert len(places) == first[2] + 256
    assert all((np.diff(places[a:b]) >= 0).all() for a, b in ((0, 64), (64, 128), (128, 384)))


def test_luma_as_one_block(monkeypatch):
    random = np.random.default_rng(0)
    shapes = random.integers(0, 2, (3, 4)).astype(np.uint8)
    for step, size in ((40, 1.0), (90, 0.3), (160, 900.0)):
        levels = np.rint(random.laplace(0, size, (3, 4, 6, 64)) * (random.random((3, 4, 6, 64)) < 0.1))
        levels = levels.clip(-2047, 2047).astype(np.int16)
        p = Planes(*(random.integers(100, 112, (n * 3, n * 4)).astype(np.uint8) for n in (16, 8, 8)))
        found = []
        for switch in SWITCHES:
            monkeypatch.setenv(kernels.SWITCH, switch)
            found.append(add_residual(p, levels, step, random.integers(0, 1, (3, 4)), shapes))
        for name in "yuv":
            np.testing.assert_array_equal(getattr(found[0], name), getattr(found[-1], name))


def test_one_block_is_transformed_back():
    random = np.random.default_rng(1)
    blocks = random.integers(-60, 60, (2, 2, 4, 8, 8))
    levels = np.zeros((2, 2, 6, 64), np.int16)
    folded = np.zeros((2, 2, 256))
    folded[..., motion_residual.FOLD] = transform_whole(blocks) / (motion_residual.step_size(0, False) / 16)
    levels[:, :, :4] = np.rint(folded).reshape(2, 2, 4, 64)
    grey = Planes(*(np.full((2 * n, 2 * n), 128, np.uint8) for n in (16, 8, 8)))
    back = add_residual(grey, levels, 0, None, np.ones((2, 2), np.uint8))
    got = motion_residual.to_blocks(back.y, back.u, back.v)[:, :, :4].astype(int) - 128
    assert np.abs(got - blocks).max() <= 4  # sixteen steps of an edge at most are smoothed by 3/16 of one
    assert np.abs(got - blocks).mean() < 0.4


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


@pytest.fixture(scope="module")
def data(codec):
    return codec.compress(scene(48, 64, 10)[0], kbps=60, pictures_per_second=10)


def test_files_name_their_tools(codec, data):
    assert b"B\x0c" in data
    stream = TokenFile.from_bytes(data, tables=codec.known_tables).streams[0]
    assert [p.head.tools & ~FILTER for p in stream.codes.pictures] == [TOOLS] + 9 * [0]
    tokens = list(motion_tokens(codec, data))
    assert any(t.shapes.any() for t in tokens)
    rows = from_motion_tokens(codec, tokens)
    assert [p.to_bytes() for p in rows.pictures] == [p.to_bytes() for p in stream.codes.pictures]
    v = Vocabulary(codec.codebook_size)
    sequence = np.concatenate([to_sequence(t, n, v) for n, t in enumerate(tokens)])
    again = list(from_sequence(sequence.tolist(), 3, 4, v, [t.parities for t in tokens if t.base is not None]))
    rows = from_motion_tokens(codec, again)
    assert [p.to_bytes() for p in rows.pictures] == [p.to_bytes() for p in stream.codes.pictures]


def test_tools_in_sequences_that_are_none(codec, data):
    v = Vocabulary(codec.codebook_size)
    tokens = to_sequence(next(motion_tokens(codec, data)), 0, v).tolist()
    assert tokens[2:4] == [v.tools, v.zero + TOOLS]
    for wrong in (2, 0, 64, -1):
        with pytest.raises(CodesError):
            list(from_sequence([*tokens[:3], v.zero + wrong, *tokens[4:]], 3, 4, v))


def test_tokens_that_fit_no_tools(codec, data):
    key, other = itertools.islice(motion_tokens(codec, data), 2)
    for wrong in (
        [replace(key, tools=0)],
        [replace(key, tools=64)],
        [replace(key, tools=MIXED, shapes=np.ones((3, 4), np.uint8))],
        [replace(key, shapes=np.ones((2, 4), np.uint8))],
        [replace(key, offsets=np.zeros((3, 5), np.int8))],
        [key, replace(other, tools=None)],
        [key, replace(other, tools=TOOLS)],
        [replace(key, tools=None, shapes=None), other],
    ):
        with pytest.raises(CodesError):
            from_motion_tokens(codec, wrong)


def test_pictures_of_both_kinds_do_not_mix(codec, data):
    rows = TokenFile.from_bytes(data, tables=codec.known_tables).streams[0].codes
    payload = rows.to_bytes()
    with pytest.raises(FormatError, match="unknown kind"):
        MotionRows.from_bytes(payload, rows.units, rows.rows, False)
    old = MotionRows([MotionPayload(PictureHead(0, 60), b"")], rows.rows)
    with pytest.raises(FormatError, match="unknown kind"):
        MotionRows.from_bytes(old.to_bytes(), old.units, old.rows, True)
