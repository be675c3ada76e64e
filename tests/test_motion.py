"""Videos with motion: prediction, residual, syntax, and files of them."""

from __future__ import annotations

import contextlib
import dataclasses
import zlib

import numpy as np
import pytest
import torch
from kit.vision import CONV, model, scene

from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.motion_payload import MotionPayload, MotionRows, PictureHead
from josiecodec.bitstream.motion_syntax import MAX_OFFSET, MAX_VECTOR, MotionPicture, PictureSyntax
from josiecodec.coding.motion_codec import VideoDecoder, video_encoder
from josiecodec.coding.motion_tokens import from_motion_tokens, motion_tokens
from josiecodec.entropy.adaptive_bits import BitDecoder, BitEncoder
from josiecodec.entropy.range_coder import check_end
from josiecodec.errors import CodecError, CodesError, FormatError
from josiecodec.metrics.vision import psnr
from josiecodec.settings import Rate
from josiecodec.vision.motion_field import MotionField, compensate
from josiecodec.vision.motion_planes import Planes, to_planes, to_rgb
from josiecodec.vision.motion_residual import add_residual, from_codes, step_size, to_blocks, to_codes, transform
from josiecodec.vision.motion_search import coarse, search


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


@pytest.fixture(scope="module")
def moving():
    return scene(48, 64, 12)[0]


@pytest.fixture(scope="module")
def data(codec, moving):
    return codec.compress(moving, rate=Rate(kbps=40), pictures_per_second=10)


def planes(height: int = 64, width: int = 96, seed: int = 0) -> Planes:
    return to_planes(scene(height, width, seed=seed)[0, :, 0].numpy())


def test_colours_come_back():
    picture = scene(50, 70)[0, :, 0]
    back = torch.from_numpy(to_rgb(to_planes(picture.numpy()), 50, 70))
    assert back.shape == picture.shape
    assert psnr(back, picture) > 33


def test_no_motion_is_the_picture_itself():
    p = planes()
    field = MotionField(np.full((8, 12), 3, np.uint8), np.zeros((2, 8, 12, 2), np.int16))
    out = compensate([p.reference, p.reference], field)
    for a, b in ((out.y, p.y), (out.u, p.u), (out.v, p.v)):
        np.testing.assert_array_equal(a, b)


def test_vectors_beyond_the_edge_are_moved_to_it():
    p = planes()
    vectors = np.full((1, 8, 12, 2), 30000, np.int16)
    out = compensate([p.reference], MotionField(np.ones((8, 12), np.uint8), vectors))
    assert (out.y[8:-8, 8:-8] == p.y[-1, -1]).all()


def test_a_shift_is_found():
    big = scene(96, 128)[0, :, 0].numpy()
    a, b = to_planes(big[:, 16:80, 16:112]), to_planes(big[:, 21:85, 9:105])
    vectors, errors = search(b, coarse(b.y), a, coarse(a.y), [], 4.0)
    assert (vectors[1:-1, 1:-1] == (20, -28)).all()
    assert errors[1:-1, 1:-1].max() < 256


def test_the_residual_is_added_to_within_the_step():
    a, b = planes(), planes(seed=1)
    difference = to_blocks(b.y, b.u, b.v).astype(np.int16) - to_blocks(a.y, a.u, a.v)
    sizes = np.array([step_size(40, n > 3) / 16 for n in range(6)])[:, None]
    levels = np.rint(transform(difference) / sizes).astype(np.int16)
    back = add_residual(a, levels, 40)
    assert np.abs(back.y.astype(int) - b.y).mean() < step_size(40, False) / 16 / 2


def random_picture(layer: int, references: int, seed: int) -> MotionPicture:
    random = np.random.default_rng(seed)
    picture = MotionPicture.empty(layer, references, 3, 4)
    picture.levels[random.random(picture.levels.shape) < 0.1] = 3
    picture.levels[0, 1], picture.levels[1, 1, 5, 63], picture.levels[2, 2, 0, 0] = 0, -2047, 900
    if seed % 2:
        picture.varied = True
        picture.offsets[:] = random.integers(-MAX_OFFSET, MAX_OFFSET + 1, (3, 4)) * picture.levels.any((2, 3))
    if references:
        uses = random.integers(0, 1 << references, (3, 4))
        picture.uses[:] = uses.repeat(2, 0).repeat(2, 1)
        vectors = random.integers(-150, 150, (references, 6, 8, 2))
        vectors[:, :4] = vectors[:, :1, :1]
        used = np.stack([picture.uses >> r & 1 for r in range(references)])[..., None]
        picture.vectors[:] = vectors * used
    return picture


def test_syntax_comes_back_picture_after_picture():
    pictures = [random_picture(min(n, 2), min(n, 2), n) for n in range(5)]
    writing, reading = PictureSyntax(3, 4), PictureSyntax(3, 4)
    for picture in pictures:
        encoder = BitEncoder()
        writing.code(encoder, picture)
        back = MotionPicture.empty(picture.layer, picture.references, 3, 4, picture.varied)
        decoder = BitDecoder(encoder.finish())
        reading.code(decoder, back)
        check_end(decoder)
        for name in ("uses", "vectors", "levels", "offsets"):
            np.testing.assert_array_equal(getattr(back, name), getattr(picture, name))


def test_noise_is_a_picture_or_an_error():
    random = np.random.default_rng(1)
    for n in range(40):
        picture = MotionPicture.empty(1 + n % 2, 1 + n % 2, 3, 4, n % 4 > 1)
        noise = bytes(random.integers(0, 256, 400, np.uint8)) if n % 3 else bytes([n, 255] * 400)
        with contextlib.suppress(FormatError):
            PictureSyntax(3, 4).code(BitDecoder(noise), picture)
            assert np.abs(picture.vectors).max() <= MAX_VECTOR
            assert np.abs(picture.offsets).max() <= MAX_OFFSET


def test_vectors_do_not_add_up_to_more_than_there_may_be():
    picture = random_picture(1, 1, 0)
    picture.vectors[:] = 5000
    with pytest.raises(FormatError, match="too long"):
        PictureSyntax(3, 4).code(BitEncoder(), picture)


def test_levels_are_codes():
    levels = random_picture(0, 0, 1).levels
    codes = to_codes(levels)
    assert codes.max() < 2048
    assert (codes[0] >= 0).sum() == levels.any((2, 3)).sum()
    np.testing.assert_array_equal(from_codes(codes), levels)
    assert to_codes(np.zeros_like(levels)).shape == (0, 3, 4)


def test_a_rate_is_kept_and_motion_is_worth_it(codec, moving, data):
    assert 8 * len(data) / 1.2 / 1000 == pytest.approx(40, rel=0.02)
    back = codec.decompress(data)
    assert back.shape == moving.shape
    still = codec.decompress(codec.compress(moving, rate=Rate(kbps=40), pictures_per_second=10, settings=None))
    assert torch.equal(still, back)
    assert psnr(back, moving) > 24


def test_what_it_is_tuned_for_counts(codec, moving, data):
    settings = dataclasses.replace(codec.settings, tune="ssim")
    assert codec.compress(moving, rate=Rate(kbps=40), pictures_per_second=10, settings=settings) != data


@pytest.mark.parametrize("pictures", [1, 2, 5, 18])
def test_any_length_and_size(codec, pictures):
    x = scene(33, 50, pictures)[0]
    assert codec.decompress(codec.compress(x, rate=Rate(bpp=0.3), pictures_per_second=25)).shape == x.shape


def test_the_file_comes_back(codec, data):
    file = TokenFile.from_bytes(data, tables=codec.known_tables)
    assert file.to_bytes(codec.known_tables) == data
    assert isinstance(file.streams[0].codes, MotionRows)
    with pytest.raises(CodesError, match="cannot be left out"):
        file.trimmed(2)
    with pytest.raises(CodesError, match="cannot be left out"):
        codec.decompress(data, n_q=2)


def test_tokens_come_back(codec, data):
    file = TokenFile.from_bytes(data, tables=codec.known_tables)
    tokens = list(motion_tokens(codec, data))
    assert sorted(t.shown for t in tokens) == list(range(12))
    assert tokens[0].layer == 0
    assert all(t.references for t in tokens[1:])
    file.streams[0].codes = from_motion_tokens(codec, tokens)
    assert file.to_bytes(codec.known_tables) == data
    with pytest.raises(CodesError, match="key picture"):
        from_motion_tokens(codec, tokens[1:])


def rows_of(codec, x: torch.Tensor, **how) -> list[MotionRows]:
    encoder = video_encoder(codec, Rate(rd_lambda=0.01), (x.shape[2], x.shape[3]), 10, **how)
    rows = [part for picture in x.unbind(1) for part in encoder.add(picture)]
    return [*rows, *encoder.finish()]


def decoded(codec, x: torch.Tensor, parts: list[tuple[int, MotionRows]], salvage: bool = False) -> torch.Tensor:
    from josiecodec.bitstream.container import Block

    info = codec.stream_info((x.shape[2], x.shape[3]), codec.n_q, x.shape[1], 10, 1)
    decoder = VideoDecoder(codec, info, salvage=salvage)
    pictures = [p for at, part in parts for p in decoder.push(Block(0, at * part.rows, part.units, part))]
    return torch.from_numpy(np.stack([*pictures, *decoder.finish()], 1))


def test_key_pictures_come_at_cuts_and_after_some_time(codec):
    x = torch.cat([scene(48, 64, 12)[0], 1 - scene(48, 64, 12, seed=5)[0]], 1)
    keys = {}
    for seconds in (10.0, 0.5):
        keys[seconds] = [t for part in rows_of(codec, x, key_seconds=seconds) for t in part.pictures]
    places = {s: [n for n, p in enumerate(pictures) if p.key] for s, pictures in keys.items()}
    assert places[10.0] == [0, 12]
    assert places[0.5] == [0, 5, 10, 12, 17, 22]
    with pytest.raises(CodecError, match="positive"):
        rows_of(codec, x, key_seconds=0)


def test_what_is_lost_comes_back_at_the_next_key_picture(codec):
    x = scene(48, 64, 20)[0]
    parts, at = [], 0
    for part in rows_of(codec, x, key_seconds=0.5):
        parts.append((at, part))
        at += len(part.pictures)
    whole = decoded(codec, x, parts)
    with pytest.raises(FormatError, match="missing"):
        decoded(codec, x, [parts[0], *parts[2:]])
    back = decoded(codec, x, [parts[0], *parts[2:]], salvage=True)
    assert back.shape == whole.shape
    assert torch.equal(back[:, :5], whole[:, :5])
    assert torch.equal(back[:, 10:], whole[:, 10:])
    assert torch.equal(back[:, 7], whole[:, 4])


def test_damaged_pictures_are_errors_or_whole(codec, data):
    file = TokenFile.from_bytes(data, tables=codec.known_tables)
    pictures = file.streams[0].codes.pictures
    random = np.random.default_rng(0)
    errors = 0
    for _ in range(40):
        n = int(random.integers(len(pictures)))
        raw = bytearray(pictures[n].to_bytes())
        raw[int(random.integers(len(raw)))] ^= 1 << int(random.integers(8))
        try:
            changed = MotionPayload.from_bytes(bytes(raw))
            rows = MotionRows([*pictures[:n], changed, *pictures[n + 1 :]], 3)
            file.streams[0].codes = rows
            assert codec.decompress(file.to_bytes(codec.known_tables)).shape[1] == 12
        except FormatError:
            errors += 1
    assert errors > 10


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"\x03\x05",
        b"\x01\x05\x00",
        b"\x04\x05\x00",
        b"\x00\x05\x7f",
        b"\x05\x05\x00\x00",
        b"\x15\x05\x00\x01",
        b"\x80\x05",
        b"\x80\x05\x00\x00",
        b"\x80\x05\x02\x00",
        b"\x80\x05\x81\x00",
    ],
)
def test_heads_that_are_wrong(raw):
    with pytest.raises(FormatError):
        MotionPayload.from_bytes(raw)


def test_a_reference_that_is_not_there_is_an_error(codec):
    x = scene(48, 64, 3)[0]
    part = rows_of(codec, x)[0]
    head = dataclasses.replace(part.pictures[1].head, references=(-30,))
    wrong = MotionRows([part.pictures[0], MotionPayload(head, part.pictures[1].bits), *part.pictures[2:]], part.rows)
    with pytest.raises(FormatError, match="not there"):
        decoded(codec, x, [(0, wrong)])
    with pytest.raises(FormatError, match="step"):
        decoded(codec, x, [(0, MotionRows([MotionPayload(PictureHead(0, 255), b"")], part.rows))])


def test_blocks_of_motion_have_whole_pictures(data):
    place = data.index(b"B\x0c")
    raw = bytearray(data)
    assert raw[place + 2] == 0  # the first row
    raw[place + 3] -= 1  # a row less
    end = data.index(b"E", len(data) - 40)
    for size in range(place + 20, end - 3):  # where the first block ends
        if zlib.crc32(data[place:size]) == int.from_bytes(data[size : size + 4], "little"):
            raw[size : size + 4] = zlib.crc32(bytes(raw[place:size])).to_bytes(4, "little")
            break
    with pytest.raises(FormatError, match="whole pictures"):
        TokenFile.from_bytes(bytes(raw))
