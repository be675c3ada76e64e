"""Large pictures part by part, as in one piece."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kit.vision import CONV, model, scene

from josiecodec.bitstream import patch_payload
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding import heap, large_picture, picture_base, picture_file, still_decoder
from josiecodec.coding.image import decode_image, encode_image
from josiecodec.media.images import Picture, save_picture
from josiecodec.media.pixels import rgb_bytes
from josiecodec.settings import Rate
from josiecodec.training.vision.detail_layer import add_detail_layer
from josiecodec.vision import network, still_rows, tiling
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.grouping import as_floats, padded
from josiecodec.vision.still_rows import StillRows

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=2)


@pytest.fixture(scope="module")
def codec():
    return add_detail_layer(model(CONV), SMALL, "small-detail")


@pytest.fixture
def in_parts(monkeypatch):
    """Makes every picture a large one of small tiles and bands."""

    def now(large: bool = True) -> None:
        if large:
            for module, name, value in (
                (picture_base, "LARGE", 0),
                (still_decoder, "LARGE", 0),
                (large_picture, "TOGETHER", 3),
                (tiling, "TILE", 3),
                (network, "COARSE_TILE", 4),
                (still_rows, "BAND", 3),
            ):
                monkeypatch.setattr(module, name, value)

    monkeypatch.setattr(patch_payload, "BLOCK_PATCHES", 10)
    return now


def drawing() -> torch.Tensor:
    """A picture of which some patches have few colours."""
    x = scene(102, 70)[0, :, 0].clone()
    x[:, 40:80, 6:60] = 1.0
    x[:, 44:76:3, 10:56:5] = 0.1
    return (x * 255).round() / 255


def test_rows_of_the_base_are_those_of_the_whole(codec, in_parts):
    random = torch.Generator().manual_seed(0)
    latent = torch.randn(17, 11, CONV.latent_dim, generator=random)
    counts = torch.randint(0, 8, (17, 11), generator=random)
    with torch.no_grad():
        whole = codec.still_picture(latent, counts)
        in_parts()
        assert torch.equal(codec.still_picture(latent, counts), whole)
        rows = StillRows(codec, latent, counts)
        for first, last in [(0, 4), (4, 5), (5, 17), (16, 17), (0, 17), (7, 9)]:
            assert torch.equal(rows.rows(first, last), whole[:, :, 16 * first : 16 * last])


@pytest.mark.parametrize("rate", [{"bpp": 4.0}, {"rate": Rate(rd_lambda=0.01)}])
@pytest.mark.parametrize("kind", ["photo", "grey", "drawing"])
def test_bytes_and_pixels_are_the_same(codec, in_parts, rate, kind):
    x = drawing() if kind == "drawing" else (scene(102, 70)[0, :, 0] * 255).round() / 255
    x = x[:1].expand(3, -1, -1) if kind == "grey" else x
    data = codec.compress(x, **rate)
    whole = codec.decompress(data)
    in_parts()
    assert codec.compress(x, **rate) == data
    assert torch.equal(codec.decompress(data), whole)
    details = TokenFile.from_bytes(data).streams[0].codes.details
    assert len(details) > 3


def test_rows_without_detail(codec, in_parts):
    file = TokenFile.from_bytes(codec.compress(scene(102, 70)[0, :, 0], bpp=4.0))
    rows = file.streams[0].codes
    file.streams[0].codes = patch_payload.PatchRows(rows.modes, rows.counts, rows.codes, rows.details[1:-1:2])
    data = file.to_bytes()
    whole = codec.decompress(data)
    in_parts()
    assert torch.equal(codec.decompress(data), whole)


def test_bytes_stay_bytes(codec, in_parts, tmp_path):
    floats = (scene(75, 58)[0, :, 0] * 255).round() / 255
    pixels = (floats * 255).round().byte()
    assert torch.equal(as_floats(pixels), floats)
    assert torch.equal(as_floats(padded(pixels[None], 16)), padded(floats[None], 16))
    for name, x in (("a", floats), ("b", pixels)):
        picture_file.write_picture(codec, Picture(x).pixels(), tmp_path / name, Rate(bpp=4.0), None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    in_parts()
    with picture_file.TokenReader(tmp_path / "a") as reader:
        found = picture_file.read_picture(codec, reader, as_bytes=True).rgb
    with picture_file.TokenReader(tmp_path / "a") as reader:
        right = picture_file.read_picture(codec, reader).rgb
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(rgb_bytes(found), rgb_bytes(right))


def test_what_is_kept_in_half_precision_hardly_counts(codec, in_parts, monkeypatch):
    x = (scene(102, 70)[0, :, 0] * 255).round() / 255
    exact = codec.compress(x, bpp=4.0)
    in_parts()
    monkeypatch.setattr(picture_base, "HALVED", 0)
    monkeypatch.setattr(picture_base.PictureBase, "foresee", counted(picture_base.PictureBase.foresee, calls := []))
    data = codec.compress(x, bpp=4.0)
    assert calls
    assert abs(len(data) / len(exact) - 1) < 0.02
    errors = [float((codec.decompress(d) - x).square().mean()) for d in (data, exact)]
    assert errors[0] < 1.03 * errors[1]


def counted(function, calls):
    def call(*given):
        calls.append(given)
        return function(*given)

    return call


def test_progress_of_a_large_picture_is_told(codec, in_parts, tmp_path):
    in_parts()
    save_picture(Picture(scene(102, 70)[0, :, 0]), tmp_path / "a.png")
    for rate in (Rate(psnr=24.0), Rate(bpp=4.0)):
        told: list[float] = []
        encode_image(codec, tmp_path / "a.png", tmp_path / "a.josie", rate=rate, progress=told.append)
        assert len(told) > 6
        assert 0 < told[0] < 0.2 < max(told) <= 1
        assert told == sorted(told)
    told = []
    decode_image(codec, tmp_path / "a.josie", tmp_path / "b.png", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_the_allocator_is_left_alone_for_small_pictures(monkeypatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", None)
    heap.keep_small(heap.LARGE - 1)
