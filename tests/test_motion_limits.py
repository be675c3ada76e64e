"""Videos with motion and detail layers at the limits of blocks, rates and lengths."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from kit.vision import CONV, model, scene

from josiecodec.bitstream import container
from josiecodec.bitstream.container import Block
from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding import motion_encoder, picture_base
from josiecodec.coding.motion_codec import VideoDecoder, video_encoder
from josiecodec.coding.motion_decoder import MotionDecoder
from josiecodec.coding.motion_encoder import MotionEncoder
from josiecodec.coding.vision_encoder import GroupEncoder
from josiecodec.settings import Rate
from josiecodec.training.vision.detail_layer import add_detail_layer
from josiecodec.vision.config import DetailConfig


@pytest.fixture(scope="module")
def codec():
    return model(CONV)


def noise(pictures: int) -> torch.Tensor:
    return torch.rand(3, pictures, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kbps", [0.01, 1e6])
def test_steps_that_change_nothing(codec, kbps):
    for x in (noise(2), torch.zeros(3, 2, 32, 48), scene(32, 48)[0]):
        data = codec.compress(x, rate=Rate(kbps=kbps), pictures_per_second=25)
        assert codec.decompress(data).shape == x.shape


def test_pictures_fit_blocks(codec, monkeypatch):
    x = noise(6)
    whole = codec.compress(x, rate=Rate(bpp=4.0), pictures_per_second=25)
    monkeypatch.setattr(container, "MAX_PAYLOAD", 1500)
    split = codec.compress(x, rate=Rate(bpp=2.0), pictures_per_second=25)
    monkeypatch.setattr(motion_encoder, "MAX_PICTURE", 300)
    coarse = codec.compress(x, rate=Rate(bpp=4.0), pictures_per_second=25)
    monkeypatch.undo()
    assert max(len(coarse), len(split)) < len(whole)
    assert codec.decompress(split).shape == codec.decompress(coarse).shape == x.shape
    pictures = TokenFile.from_bytes(coarse).streams[0].codes.pictures
    assert max(len(p.to_bytes()) for p in pictures) <= 300


def test_details_fit_blocks(monkeypatch):
    codec = add_detail_layer(
        model(CONV), DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1), "small-detail"
    )
    x = scene(70, 64)[0, :, 0]
    whole = TokenFile.from_bytes(codec.compress(x, bpp=6.0)).streams[0].codes
    assert [p.rows for p in whole.details] == [5]
    limit = len(whole.details[0].data) // 2 + 600
    for module in (container, picture_base):
        monkeypatch.setattr(module, "MAX_PAYLOAD", limit)
    data = codec.compress(x, bpp=6.0)
    details = TokenFile.from_bytes(data).streams[0].codes.details
    assert len(details) > 1
    assert sum(p.rows for p in details) == 5
    assert codec.decompress(data).shape == x.shape


def test_tall_videos_and_rare_key_pictures(codec):
    rate = Rate(bpp=0.1)
    assert isinstance(video_encoder(codec, rate, (16400, 2), Fraction(25)), GroupEncoder)
    assert isinstance(video_encoder(codec, rate, (16384, 2), Fraction(25)), MotionEncoder)
    assert video_encoder(codec, rate, (32, 32), Fraction(25), key_seconds=math.inf).key_every > 1e9


def test_salvage_enters_far_from_the_beginning_and_ends_with_the_file(codec):
    x = scene(32, 48)[0]
    encoder = video_encoder(codec, Rate(rd_lambda=0.01), (32, 48), Fraction(1, 100))
    part = [*encoder.add(x[:, 0]), *encoder.finish()][0]
    info = codec.stream_info((32, 48), codec.n_q, 20, Fraction(1, 100), 1)  # 600 s are six pictures
    decoder = VideoDecoder(codec, info, salvage=True, start=15)
    assert len(list(decoder.push(Block(0, 15 * part.rows, part.units, part)))) == 1
    assert list(decoder.push(Block(0, 20 * part.rows, part.units, part))) == []  # behind the last picture
    decoder = VideoDecoder(codec, info, salvage=True)
    assert list(decoder.push(Block(0, 15 * part.rows, part.units, part))) == []


def test_waiting_pictures_do_not_keep_what_is_interpolated(codec):
    x = scene(32, 48, 9)[0]
    data = codec.compress(x, rate=Rate(kbps=40), pictures_per_second=10)
    stream = TokenFile.from_bytes(data, tables=codec.known_tables).streams[0]
    decoder = MotionDecoder(codec, stream.info, codec.tables)
    rows = stream.codes
    for payload in rows.pictures[:4]:
        list(decoder._decode(payload))
    assert decoder._ready
    assert not any("reference" in vars(p) for p in decoder._ready.values())
