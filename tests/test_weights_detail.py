"""The picture models with a detail layer that ship: the base is jovio-16's, and the detail is worth its bits."""

from __future__ import annotations

import pytest
import torch

import josiecodec
from josiecodec import Rate, TokenFile
from josiecodec.fingerprint import of_folder
from josiecodec.metrics.vision import psnr
from josiecodec.shipped import WEIGHTS


@pytest.fixture(scope="module")
def codec():
    return josiecodec.load("jovio-16-v7")


@pytest.fixture(scope="module")
def base():
    return josiecodec.load("jovio-16")


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize(
    "name", ["jovio-16-v2", "jovio-16-v3", "jovio-16-v4", "jovio-16-v5", "jovio-16-v6", "jovio-16-v7"]
)
def test_what_ships(name):
    folder, codec = WEIGHTS / name, josiecodec.load(name)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 9e6  # what it shares is stored once
    assert codec.fingerprint == of_folder(folder)
    assert codec.detail.network()  # its sums are exact


def test_the_base_is_that_of_the_model_before(codec, base, valid_pictures):
    x = valid_pictures[0][None]
    codes = codec.encode(x, 6)
    assert torch.equal(codes, base.encode(x, 6))
    assert torch.equal(codec.decode(codes), base.decode(codes))


def test_more_bits_pay_up_to_the_top(codec, base, valid_pictures):
    gained, scores = [], []
    for x in valid_pictures:
        found = []
        for bpp in (0.3, 1.0, 2.5):
            data = codec.compress(x, bpp=bpp)
            assert 8 * len(data) <= 1.01 * bpp * x[0].numel()
            found.append(psnr(codec.decompress(data), x))
        scores.append(found)
        gained.append(found[1] - psnr(base.decompress(base.compress(x, bpp=1.0)), x))
    assert mean([b - a for a, b, _ in scores]) > 3
    assert mean([c - b for _, b, c in scores]) > 3
    assert mean(gained) > 3


def test_the_default_has_a_detail_layer(codec, valid_pictures):
    data = codec.compress(valid_pictures[0])
    assert TokenFile.from_bytes(data).streams[0].codes.details
    assert psnr(codec.decompress(data), valid_pictures[0]) > 25


def test_flat_colors_stay(codec):
    for color in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.8, 0.2, 0.1), (0.5, 0.5, 0.5)):
        x = torch.tensor(color).view(3, 1, 1).expand(3, 64, 64).contiguous()
        assert (codec.decompress(codec.compress(x, bpp=1.0)) - x).abs().mean() < 0.01, color


@pytest.mark.parametrize("rate", [{"bpp": 0.2}, {"rate": Rate(rd_lambda=0.03)}])
def test_one_flat_colour_comes_back(codec, rate):
    flat = (torch.tensor([200, 31, 77]) / 255)[:, None, None].expand(3, 100, 150).contiguous()
    assert float((codec.decompress(codec.compress(flat, **rate)) - flat).abs().max()) <= 1 / 255
