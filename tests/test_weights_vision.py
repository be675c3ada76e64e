"""The weights for pictures that ship are whole, exact on a stream, and look as they should."""

from __future__ import annotations

import pytest
import torch
from kit.vision import scene

import josiecodec
from josiecodec import Rate
from josiecodec.fingerprint import of_folder
from josiecodec.metrics.vision import psnr
from josiecodec.shipped import WEIGHTS


@pytest.fixture(scope="module")
def codec():
    return josiecodec.load("jovio-16")


def test_what_ships(codec):
    assert codec.n_q == 32
    assert (WEIGHTS / "jovio-16" / "model.safetensors").stat().st_size < 26e6
    assert codec.fingerprint == of_folder(WEIGHTS / "jovio-16")
    assert (WEIGHTS / "jovio-16" / "README.md").exists()


def test_a_stream_and_a_batch_are_exact(codec):
    x = torch.cat([scene(70, 90, 5, seed=s) for s in range(2)])
    codes = codec.encode(x)
    back = codec.decode(codes, (70, 90), 5)
    assert torch.equal(codec.encode(x[1:]), codes[1:])
    stream = codec.streaming()
    found = torch.cat([stream.encode(part) for part in x.split([2, 3], 2)], 2)
    assert torch.equal(found, codes)
    assert torch.equal(codec.streaming(size=(70, 90)).decode(codes), back)


def test_flat_colors_stay(codec):
    for color in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.8, 0.2, 0.1), (0.5, 0.5, 0.5)):
        x = torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, 64, 64).contiguous()
        back = codec.decode(codec.encode(x, 16), (64, 64))
        assert (back - x).abs().mean() < 0.02, color


def test_a_still_video_does_not_flicker(codec):
    x = scene(64, 64).expand(-1, -1, 7, -1, -1)[0]
    back = codec.decompress(codec.compress(x, rate=Rate(bpp=0.2), pictures_per_second=10))
    assert back.diff(dim=1).abs().mean() < 0.01


def test_pictures_are_recognised(codec, valid_pictures):
    scores = []
    for n in (1, 4, 16):
        found = [psnr(codec.decode(codec.encode(x[None], n), x.shape[-2:])[0], x) for x in valid_pictures]
        scores.append(sum(found) / len(found))
    assert scores == sorted(scores)
    assert scores[1] > 24
