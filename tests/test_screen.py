"""Patches of few colours: maps of indexes, their bytes, files and damage."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import torch
from kit.vision import CONV, model, scene

from josiecodec.bitstream.container import TokenReader, TokenWriter
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.bitstream.payload_codings import FIXED_LENGTH_SCREEN
from josiecodec.bitstream.scan import summarise, trim_file
from josiecodec.bitstream.screen_payload import MAX_PIXELS, unpack_screen
from josiecodec.coding.screen import MAX_TRIES, SAMPLED, ScreenPicture, likely_patches
from josiecodec.coding.screen_colors import Colors
from josiecodec.entropy.counted_bits import CountedContexts as Contexts
from josiecodec.entropy.counted_bits import CountedDecoder, CountedEncoder, number
from josiecodec.entropy.index_map import IndexMap, Wanted
from josiecodec.errors import FormatError
from josiecodec.metrics.vision import psnr
from josiecodec.settings import Rate
from josiecodec.training.vision.detail_layer import add_detail_layer
from josiecodec.vision.config import DetailConfig

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1)


@pytest.fixture(scope="module")
def codec():
    return add_detail_layer(model(CONV), SMALL, "small-detail")


def drawing(height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
    """Pixels uint8 [H, W, 3] of bars, frames and letter-like marks with smooth edges on a plain ground."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), 240, np.uint8)
    pixels[: height // 6] = (36, 60, 110)
    marks = random.integers(0, 2, (6, 7, 5)) * 190
    marks[:, ::3] //= 2  # smooth edges
    for y in range(height // 4, height - 8, 10):
        for x in range(6, width // 2, 7):
            ink = marks[random.integers(6)]
            pixels[y : y + 7, x : x + 5] -= np.minimum(ink, 230)[..., None].astype(np.uint8)
    pixels[height // 3 : -10, width * 2 // 3 : -6] = (200, 60, 40)
    return pixels


def as_picture(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def exactly(indexes: np.ndarray, colors: int) -> list[Wanted]:
    """An encoder's wish for exactly these indexes."""
    found = []
    for row in indexes:
        ends = [*(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
        same = [next(end for end in ends if end > at) for at in range(len(row))]
        costs = [[0.0 if k == index else 1e6 for k in range(colors)] for index in row.tolist()]
        found.append(Wanted(np.array(costs), np.arange(len(row)), row, np.array(same)))
    return found


@pytest.mark.parametrize(
    ("colors", "spans"), [(1, [(0, 50)]), (2, [(0, 50)]), (7, [(3, 20), (24, 41)]), (255, [(0, 50)])]
)
def test_maps_come_back(colors, spans):
    random = np.random.default_rng(colors)
    indexes = np.kron(random.integers(0, colors, (8, 10)), np.ones((5, 5), int))
    indexes[:, 30:] = random.integers(0, colors, (40, 20))
    encoder, model = CountedEncoder(), IndexMap(colors, 50)
    coded = np.array([model.row(encoder, spans, wanted) for wanted in exactly(indexes, colors)])
    inside = np.zeros(50, bool)
    for first, last in spans:
        inside[first:last] = True
    np.testing.assert_array_equal(coded, np.where(inside, indexes, colors))
    decoder, model = CountedDecoder(encoder.finish()), IndexMap(colors, 50)
    np.testing.assert_array_equal([model.row(decoder, spans) for _ in indexes], coded)


def test_the_longest_row_can_be_one_run():
    width = 8192 * 16
    zeros = np.zeros(width, np.int64)
    wanted = Wanted(np.array([[0.0, 9.0]]), zeros, zeros, np.full(width, width))
    encoder, model = CountedEncoder(), IndexMap(2, width)
    for _ in range(4):  # runs need a row above that is the same beyond its edges
        model.row(encoder, [(0, width)], wanted)
    data = encoder.finish()
    decoder, model = CountedDecoder(data), IndexMap(2, width)
    assert not any(model.row(decoder, [(0, width)]).any() for _ in range(4))


def test_what_was_there_before_costs_little():
    def size(indexes: np.ndarray) -> int:
        encoder, model = CountedEncoder(), IndexMap(4, indexes.shape[1])
        for wanted in exactly(indexes, 4):
            model.row(encoder, [(0, indexes.shape[1])], wanted)
        return len(encoder.finish())

    marks = np.random.default_rng(0).integers(0, 4, (12, 12))
    ground = np.zeros((30, 100), int)
    one, many = ground.copy(), np.concatenate([ground] * 5)
    one[9:21, 10:22] = marks
    for x in range(10, 80, 20):
        for y in range(9, 140, 30):
            many[y : y + 12, x : x + 12] = marks
    assert size(ground) <= 6
    assert size(many) < 5 * size(one)  # of twenty


@pytest.mark.parametrize("most", [1, 9, 17])
def test_numbers_come_back(most):
    values = [0, 1, (1 << most) - 1, (1 << most) // 2]
    encoder, contexts = CountedEncoder(), Contexts(most)
    for value in values:
        number(encoder, contexts, 0, most, value)
    decoder, contexts = CountedDecoder(encoder.finish()), Contexts(most)
    assert [number(decoder, contexts, 0, most, 0) for _ in values] == values


@pytest.mark.parametrize("rd_lambda", [0.05, 30.0, 3000.0])
def test_patches_come_back(rd_lambda):
    pixels = drawing()
    patches = np.random.default_rng(1).random((6, 8)) < 0.7
    screen = ScreenPicture(pixels, patches, 16, [(0, 4), (4, 6)])
    for first, last in screen.parts:
        coded = screen.coded((first, last), rd_lambda)
        found = unpack_screen(coded.data, last - first, 8, 16)
        np.testing.assert_array_equal(found.patches, patches[first:last])
        np.testing.assert_array_equal(found.pixels(), coded.screen.pixels())
        if rd_lambda < 1:  # fewer than 255 colours
            inside = patches[first:last].repeat(16, 0).repeat(16, 1)
            np.testing.assert_array_equal(found.pixels()[inside], pixels[first * 16 : last * 16][inside])


def test_dearer_bits_are_fewer():
    screen = ScreenPicture(drawing(), np.ones((6, 8), bool), 16, [(0, 6)])
    sizes = [screen.size(rd_lambda) for rd_lambda in (0.05, 30.0, 3000.0, 1e5)]
    assert sizes == sorted(sizes, reverse=True)
    bits = (sizes[0] + sizes[-1]) / 2
    assert screen.size(screen.within(bits)) <= bits


def test_a_lambda_is_looked_for_on_two_parts(monkeypatch):
    screen = ScreenPicture(drawing(192, 128), np.ones((12, 8), bool), 16, [(k, k + 2) for k in range(0, 12, 2)])
    bits = screen.size(100.0)
    calls, coded = [], ScreenPicture.coded

    def counted(self, part, rd_lambda):
        calls.append(part)
        return coded(self, part, rd_lambda)

    monkeypatch.setattr(ScreenPicture, "coded", counted)
    found = screen.within(bits)
    assert len(calls) <= 2 * MAX_TRIES + len(screen.parts)
    assert abs(screen.size(found) / bits - 1) < 0.1


def test_palettes_of_very_many_colours_are_bounded():
    pixels = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    colors = Colors.of(pixels, np.ones((160, 160), bool))
    assert len(colors.values) <= 1 << 13
    assert len(colors.palette(1e-3)) <= 255
    one = Colors.of(np.zeros((16, 16, 3), np.uint8), np.ones((16, 16), bool))
    assert one.palette(1.0).tolist() == [[0, 0, 0]]


def test_photographs_are_not_taken_for_drawings():
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    sky = (
        np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)[..., None].repeat(3, 2) // 2 + 60
    )  # nothing drawn
    assert likely_patches(noise[2::SAMPLED], 16) is None
    assert likely_patches(sky[2::SAMPLED], 16) is None
    likely = likely_patches(drawing()[2::SAMPLED], 16)
    assert likely is not None
    assert likely.mean() > 0.5


def test_one_colour_is_tried_as_few():
    white = np.full((128, 128, 3), 255, np.uint8)
    likely = likely_patches(white[2::SAMPLED], 16)
    assert likely is not None
    assert likely.all()


@pytest.mark.parametrize("what", ["dither", "chessboard"])
def test_two_colours_in_any_order_are_exact(codec, what):
    """Hardly a pixel is like the one beside it, and no coefficients are expected where these have theirs."""
    random = np.random.default_rng(0).integers(0, 2, (64, 64))
    marks = random if what == "dither" else np.indices((64, 64)).sum(0) % 2
    picture = as_picture(np.where(marks[..., None], 230, 20).repeat(3, 2).astype(np.uint8))
    data = codec.compress(picture, rate=Rate(bpp=2.0))
    assert torch.equal(codec.decompress(data), picture)
    assert 8 * len(data) <= 2.0 * 64 * 64


@pytest.mark.parametrize("bpp", [0.005, 0.1])
def test_patches_of_few_colours_keep_to_a_budget(codec, bpp):
    random = np.random.default_rng(0).integers(0, 2, (96, 128, 1))
    data = codec.compress(as_picture((random * 255).repeat(3, 2).astype(np.uint8)), rate=Rate(bpp=bpp))
    smallest = len(codec.compress(as_picture(np.zeros((96, 128, 3), np.uint8)), rate=Rate(bpp=1e-4)))
    assert len(data) <= max(1.05 * bpp * 96 * 128 / 8, 1.05 * smallest + 8)


def test_a_drawing_is_nearly_exact_where_the_detail_layer_is_far_off(codec, monkeypatch):
    picture = as_picture(drawing())
    with_screen = codec.compress(picture, bpp=0.8)
    monkeypatch.setattr("josiecodec.coding.picture_encoder.likely_patches", lambda *_: None)
    without = codec.compress(picture, bpp=0.8)
    assert len(with_screen) <= 1.03 * len(without)
    before, after = (psnr(codec.decompress(data), picture) for data in (without, with_screen))
    assert after > before + 10


@pytest.mark.parametrize("rate", [{"bpp": 1.5}, {"rate": None}])
def test_drawings_beside_photographs(codec, rate):
    pixels = drawing(128, 160)
    noise = 0.2 * torch.rand(3, 128, 64, generator=torch.Generator().manual_seed(3))
    photo = (scene(128, 64)[0, :, 0] * 0.8 + noise).clamp(0, 1)
    picture = as_picture(pixels)
    picture[:, :, 96:] = photo
    data = codec.compress(picture, **({} if rate == {"rate": None} else rate))
    (block,) = TokenReader(data, codec.known_tables).blocks()
    assert block.coding == FIXED_LENGTH_SCREEN
    (part,) = block.codes.details
    screen = unpack_screen(part.screen, 8, 10, 16)
    assert screen.patches[:, :6].mean() > 0.9
    assert screen.patches[:, 6:].mean() < 0.1
    decoded = codec.decompress(data)
    inside = torch.from_numpy(screen.patches.repeat(16, 0).repeat(16, 1))
    shown = torch.from_numpy(screen.pixels()).permute(2, 0, 1) / 255
    assert torch.equal(decoded[:, inside], shown[:, inside])
    assert part.data


def test_fewer_levels_keep_patches_of_few_colours(codec, tmp_path):
    picture = as_picture(drawing(128, 160))
    picture[:, :, 96:] = scene(128, 64)[0, :, 0] + 0.1 * torch.rand(3, 128, 64)
    data = codec.compress(picture.clamp(0, 1), bpp=1.5)
    rows = TokenFile.from_bytes(data).streams[0].codes
    assert rows.details[0].screen
    assert rows.details[0].data
    assert rows.trimmed(1).details == (dataclasses.replace(rows.details[0], data=b""),)
    (tmp_path / "a.josie").write_bytes(data)
    trim_file(tmp_path / "a.josie", tmp_path / "b.josie", 1)
    summary = summarise(tmp_path / "b.josie")[0][0]
    assert (summary.detail_bytes, summary.screen_bytes) == (0, len(rows.details[0].screen))
    shorter = codec.decompress((tmp_path / "b.josie").read_bytes())
    assert torch.equal(shorter, codec.decompress(data, n_q=1))
    assert psnr(shorter[:, :, :96], picture[:, :, :96]) > 25


def test_any_bytes_give_patches_or_an_error(codec):
    data = codec.compress(as_picture(drawing()), bpp=1.0)
    (block,) = TokenReader(data, codec.known_tables).blocks()
    (part,) = block.codes.details
    random = np.random.default_rng(0)
    tries = [part.screen[: random.integers(len(part.screen))] for _ in range(20)]
    for _ in range(60):
        broken = bytearray(part.screen)
        broken[random.integers(len(broken))] ^= 1 << random.integers(8)
        tries.append(bytes(broken))
    tries += [random.integers(0, 256, 200, dtype=np.uint8).tobytes() for _ in range(20)]
    tries += [b"\0", b"\xff" * 50, part.screen + b"x"]
    read = 0
    for screen in tries:
        out = io.BytesIO()
        writer = TokenWriter(out, TokenReader(data).streams, codec.known_tables)
        rows = dataclasses.replace(block.codes, details=(dataclasses.replace(part, screen=screen),))
        writer.add_rows(0, rows)
        writer.close()
        try:
            assert codec.decompress(out.getvalue()).shape == (3, 96, 128)
            read += 1
        except FormatError:
            pass
    assert read < len(tries)
    with pytest.raises(FormatError, match="too large"):
        unpack_screen(part.screen, 1, MAX_PIXELS // 256 + 1, 16)
