"""How an encoder of still pictures with detail comes near a size."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from kit.vision import CONV, model, scene

from josiecodec.bitstream import patch_payload
from josiecodec.bitstream.patch_payload import PatchRows, vision_bytes
from josiecodec.coding import picture_file, picture_sizes
from josiecodec.coding.picture_base import PictureBase
from josiecodec.coding.picture_encoder import OnePicture, padded
from josiecodec.coding.picture_sizes import base_bytes, power_of, priced
from josiecodec.coding.picture_tools import Tools
from josiecodec.media.pixels import Pixels
from josiecodec.settings import Rate
from josiecodec.training.vision.detail_layer import add_detail_layer
from josiecodec.vision.config import DetailConfig

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1)


@pytest.fixture(scope="module")
def codec():
    return add_detail_layer(model(CONV), SMALL, "small-detail")


def base_of(codec, height: int = 96, width: int = 128) -> PictureBase:
    network = codec.picture_network()
    tools = Tools.of(network, codec.settings, codec.tables)
    picture = padded(scene(height, width)[:1, :, 0].numpy(), codec.patch)
    return PictureBase.coded(tools, picture, network.still_latent(picture))


def test_prices_make_up_for_sizes():
    assert priced(0.0, 0.2) == 1
    assert priced(0.01, 0.2) == pytest.approx(math.exp(0.05))
    assert priced(9.0, 0.2) == pytest.approx(picture_sizes.MOST_PRICED)
    assert priced(-9.0, 0.2) == pytest.approx(1 / picture_sizes.MOST_PRICED)
    assert power_of(900.0 * 1.1**-0.4, 900.0, 1.1) == pytest.approx(0.4)
    assert power_of(1000.0, 900.0, 1.1) == picture_sizes.FLAT
    assert power_of(0.0, 900.0, 1.1) == picture_sizes.STEEP


def test_some_blocks_say_what_a_large_base_takes(codec, monkeypatch):
    monkeypatch.setattr(patch_payload, "BLOCK_PATCHES", 8)
    base = base_of(codec, 256, 128)
    many = PatchRows.joined([base.rows] * 3, base.counts.shape[1])
    exact = vision_bytes(many, codec.n_q, codec.codebook_size, codec.tables)
    monkeypatch.setattr(picture_sizes, "LARGE", 0)
    assert base_bytes(many, base.tools) == pytest.approx(exact, rel=0.05)
    nothing = PatchRows(many.modes, np.zeros_like(many.counts), many.codes[:0])
    assert base_bytes(nothing, base.tools) > 0


def test_a_size_is_found_once(codec, monkeypatch):
    base, calls = base_of(codec), []
    choose = PictureBase.choose
    monkeypatch.setattr(PictureBase, "choose", lambda *a: (calls.append(1), choose(*a))[1])
    at = base.tools.fineness(40)
    assert base.said(at) == base.said(at)
    assert len(calls) == len(base.sample)
    base.foresee(at)  # other coefficients are wanted from here on
    base.said(at)
    assert len(calls) == 2 * len(base.sample)


def test_rows_are_foreseen_with_the_part_that_they_lie_in(codec, monkeypatch):
    monkeypatch.setattr(patch_payload, "BLOCK_PATCHES", 24)
    base = base_of(codec)
    assert len(base.parts) == 2
    base.foresee(base.tools.fineness(40))
    whole = np.concatenate([base.wanted(part) for part in base.parts])
    assert np.array_equal(base.wanted((2, 5)), whole[4:10])


@pytest.mark.parametrize("bpp", [2.5, 4.0, 6.0])
@pytest.mark.parametrize("patches", [12, 4096])
def test_sizes_are_met_in_one_part_and_in_many(codec, monkeypatch, bpp, patches):
    monkeypatch.setattr(patch_payload, "BLOCK_PATCHES", patches)
    data = codec.compress(scene(96, 128)[0, :, 0], bpp=bpp)
    assert abs(8 * len(data) / (96 * 128) / bpp - 1) < 0.02


def test_another_rate_of_a_known_picture_is_as_if_it_were_new(codec):
    picture = Pixels(scene(96, 128)[0, :, 0].numpy())

    def written(bpp: float, known: list[OnePicture]) -> bytes:
        out = io.BytesIO()
        picture_file._write(codec, picture, out, Rate(bpp=bpp), None, known=known)
        return out.getvalue()

    known: list[OnePicture] = []
    one_after_another = [written(bpp, known) for bpp in (3.0, 5.0, 3.0)]
    assert len(known) == 1
    assert one_after_another == [written(bpp, []) for bpp in (3.0, 5.0, 3.0)]
