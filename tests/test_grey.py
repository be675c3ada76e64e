"""Pictures of greys: they stay grey in files and out of them, and cost less."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest
import torch
from kit.processes import run_cli
from kit.vision import CONV, model, scene
from PIL import Image

from josiecodec.bitstream.header import VisionInfo, read_header, write_header
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.detail import BRIGHTNESS, DetailCoder
from josiecodec.coding.image import decode_image, encode_image
from josiecodec.errors import FormatError
from josiecodec.media.images import load_picture, save_picture
from josiecodec.training.vision.detail_layer import add_detail_layer
from josiecodec.vision.block_transform import COEFFICIENTS
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.detail_steps import DetailSteps

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1)


@pytest.fixture(scope="module")
def codec():
    return add_detail_layer(model(CONV), SMALL, "small-detail")


def grey(height: int = 64, width: int = 80) -> torch.Tensor:
    return scene(height, width)[0, :1, 0].expand(3, -1, -1)


@pytest.mark.parametrize("rate", [{"n_q": 4}, {"bpp": 1.5}, {"bpp": 6.0}])
def test_greys_stay_greys(codec, rate):
    data = codec.compress(grey(), **rate)
    back = codec.decompress(data)
    assert bool((back == back[:1]).all())
    assert float((back - grey()).square().mean()) < 0.02
    assert codec.decompress_picture(data).grey
    info = TokenFile.from_bytes(data).streams[0].info
    assert isinstance(info, VisionInfo)
    assert info.grey
    assert TokenFile.from_bytes(data).to_bytes() == data


def test_pictures_with_a_trace_of_colour_are_none(codec):
    x = grey().clone()
    x[0, 3, 3] += 0.01
    data = codec.compress(x, bpp=1.5)
    assert data[6] == 2
    assert not codec.decompress_picture(data).grey


def test_coefficients_of_colours_are_not_coded(codec):
    random = np.random.default_rng(0)
    wanted = random.normal(0, 3, (4, 6, COEFFICIENTS))
    latents, counts = np.zeros((2, 3, CONV.latent_dim), np.int64), np.ones((2, 3), np.int64)
    taken = {}
    for is_grey in (False, True):
        coder = DetailCoder(codec.detail, is_grey)
        chosen = coder.choose(latents, counts, wanted, DetailSteps(40), 0.1)
        np.testing.assert_array_equal(coder.unpack(latents, counts, coder.pack(chosen, counts))[1], chosen.symbols)
        assert chosen.symbols[..., :BRIGHTNESS].any()
        assert bool(chosen.symbols[..., BRIGHTNESS:].any()) != is_grey
        taken[is_grey] = len(coder.pack(chosen, counts))
    assert taken[True] < 0.6 * taken[False]


@pytest.mark.parametrize("mode", ["L", "1", "I;16", "RGB", "LA"])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_files_of_greys(codec, mode, suffix, tmp_path):
    values = (grey()[0] * 255).round().byte().numpy()
    image = Image.fromarray(values.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(values).convert(mode)
    image.save(tmp_path / "a.png")
    assert load_picture(tmp_path / "a.png").grey
    encode_image(codec, tmp_path / "a.png", tmp_path / "a.josie", 4)
    decode_image(codec, tmp_path / "a.josie", tmp_path / f"b{suffix}")
    assert Image.open(tmp_path / f"b{suffix}").mode == "L"


def test_formats_of_colours_have_three_equal_ones(tmp_path):
    there = load_picture_of(grey(), tmp_path)
    for name, mode in (("a.webp", "RGB"), ("a.ppm", "RGB"), ("a.bmp", "L"), ("a.tif", "L"), ("a.avif", "RGB")):
        save_picture(there, tmp_path / name)
        assert Image.open(tmp_path / name).mode == mode


def load_picture_of(x: torch.Tensor, folder):
    Image.fromarray((x[0] * 255).round().byte().numpy()).save(folder / "x.png")
    return load_picture(folder / "x.png")


def test_headers_say_grey():
    image = VisionInfo("m", "0" * 16, 2, 64, 1, 70, 50, Fraction(0), 16, 1, grey=True)
    data = write_header([image])
    assert data[6] == 4
    assert read_header(data)[0] == [image]
    for place, value in ((6, 2), (6, 3), (-5, 2), (-5, 255)):  # an older version, forms that are not known
        broken = bytearray(data)
        broken[place] = value
        broken[-4:] = struct.pack("<I", zlib.crc32(broken[:-4]))
        with pytest.raises(FormatError):
            read_header(bytes(broken))
    with pytest.raises(FormatError):  # a video
        write_header([dataclasses.replace(image, rate=Fraction(25))])


def test_info_says_grey(tmp_path):
    Image.fromarray((grey()[0] * 255).byte().numpy()).save(tmp_path / "a.png")
    run_cli("encode", tmp_path / "a.png", "--n-q", 2)
    assert "80 x 64, grey image" in run_cli("info", tmp_path / "a.josie").stdout
