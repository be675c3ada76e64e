"""Previews: small pictures from the base of files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kit.processes import run, run_cli
from kit.vision import CONV, model, scene
from PIL import Image

import josiecodec
from josiecodec.coding import preview, still_decoder
from josiecodec.coding.preview import PreviewSize
from josiecodec.errors import CodecError
from josiecodec.training.vision.detail_layer import add_detail_layer
from josiecodec.vision import tiling
from josiecodec.vision.config import DetailConfig

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1)


@pytest.fixture(scope="module")
def codec():
    return add_detail_layer(model(CONV), SMALL, "small-detail")


def resized(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return torch.from_numpy(preview.resized(x.numpy(), size))


def picture(height: int = 150, width: int = 203) -> torch.Tensor:
    return scene(height, width)[0, :, 0]


@pytest.mark.parametrize(
    ("size", "want"),
    [(50, (37, 50)), (16, (12, 16)), (1, (1, 1)), ((40, 20), (20, 27)), (203, (150, 203)), (9999, (150, 203))],
)
def test_previews_fit(codec, size, want):
    data = codec.compress(picture(), bpp=2.0)
    small = codec.decompress_picture(data, size=size)
    assert small.rgb.shape == (3, *want)
    whole = codec.decompress(data)
    assert (
        float((small.rgb - resized(whole, want)).square().mean()) < 0.006
    )  # of a model that knows nothing, whose detail is all


def test_the_detail_is_left_out_where_it_would_not_be_seen(codec, monkeypatch):
    data = codec.compress(picture(), bpp=3.0)
    near = codec.decompress_picture(data, size=150).rgb
    assert torch.equal(near, resized(codec.decompress(data), (111, 150)))
    monkeypatch.setattr(still_decoder, "with_detail", None)
    codec.decompress_picture(data, size=100)


def test_tiles_make_no_difference(codec, monkeypatch):
    data = codec.compress(picture(), bpp=1.0)
    one = codec.decompress_picture(data, size=48).rgb
    monkeypatch.setattr(tiling, "TILE", 3)
    assert float((codec.decompress_picture(data, size=48).rgb - one).abs().max()) < 1e-5


def test_previews_have_alpha_and_stay_grey(codec):
    alpha = torch.zeros(150, 203, dtype=torch.uint8)
    alpha[:, 100:] = 255
    small = codec.decompress_picture(codec.compress(picture()[:1].expand(3, -1, -1), 3, alpha=alpha), size=20)
    assert (small.alpha.shape, small.grey) == ((15, 20), True)
    assert bool((small.rgb == small.rgb[:1]).all())
    assert (int(small.alpha[:, :9].max()), int(small.alpha[:, 11:].min())) == (0, 255)


def test_patches_of_few_colours_are_in_previews(codec):
    pixels = np.full((96, 128, 3), 240, np.uint8)
    pixels[20:40, 30:90] = (200, 30, 20)
    pixels[::7, ::5] = (10, 20, 90)
    x = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    data = codec.compress(x, bpp=1.0)
    assert any(part.screen for part in josiecodec.TokenFile.from_bytes(data).streams[0].codes.details)
    small = codec.decompress_picture(data, size=32).rgb
    assert float((small - resized(x, (24, 32))).abs().mean()) < 0.03


def test_posters_of_videos(codec):
    data = codec.compress(scene(64, 96, 4)[0], bpp=0.5)
    first = codec.decompress(data)[:, 0]
    assert torch.equal(codec.decompress_picture(data, size=24).rgb, resized(first, (16, 24)))


def test_sizes_that_cannot_be():
    with pytest.raises(CodecError, match="at least 1 x 1"):
        PreviewSize.of(0)
    with pytest.raises(CodecError, match="at least 1 x 1"):
        PreviewSize.of((5, -1))


def test_the_command_line(tmp_path):
    pixels = (picture(60, 90).permute(1, 2, 0) * 255).byte().numpy()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    josiecodec.encode_file(tmp_path / "a.jpg", n_q=4)
    run_cli("decode", tmp_path / "a.josie", tmp_path / "b.png", "--size", 30)
    assert Image.open(tmp_path / "b.png").size == (20, 30)
    josiecodec.decode_file(tmp_path / "a.josie", tmp_path / "c.png", size=(9, 90))
    assert Image.open(tmp_path / "c.png").size == (9, 14)
    assert "like 256" in run("decode", tmp_path / "a.josie", tmp_path / "d.png", "--size", "0x5", code=2)
    with pytest.raises(CodecError, match="is an image file"):
        josiecodec.decode_file(tmp_path / "a.josie", tmp_path / "c.mp4", size=9)
