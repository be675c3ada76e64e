"""Bases without coefficients, which the filter of a detail layer smooths."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from kit.vision import CONV, model, scene

from josiecodec.bitstream.josie_file import TokenFile
from josiecodec.coding.detail import DetailCoder
from josiecodec.coding.tensor_pictures import TensorPictures
from josiecodec.errors import FormatError
from josiecodec.settings import Rate
from josiecodec.training.vision.detail_layer import add_detail_layer, layer_of
from josiecodec.vision.config import DetailConfig
from josiecodec.vision.detail_steps import STEPS, DetailSteps

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1, strengths=8, bases=True)
COARSE = Rate(rd_lambda=30.0)


@pytest.fixture
def codec():
    return add_detail_layer(model(CONV), SMALL, "small-bases")


@pytest.fixture
def picture():
    return scene(100, 120)[0, :, 0]


def brighter(codec, by: torch.Tensor) -> None:
    """Let the filter add this to each colour."""
    layer = layer_of(codec)
    layer.output_proj.bias.copy_(by.repeat(layer.config.fine**2))


@pytest.mark.parametrize("better", [True, False])
def test_bases_are_smoothed_where_that_is_better(codec, picture, better):
    plain = codec.decompress(codec.compress(picture, rate=COARSE))
    assert not TokenFile.from_bytes(codec.compress(picture, rate=COARSE)).streams[0].codes.details
    error = (picture - plain).mean((1, 2))
    brighter(codec, error if better else -error)
    data = codec.compress(picture, rate=COARSE)
    details = TokenFile.from_bytes(data).streams[0].codes.details
    assert [part.data for part in details] == ([bytes([STEPS - 1, 1])] if better else [])
    found = codec.decompress(data)
    if better:
        torch.testing.assert_close(found, (plain + error[:, None, None]).clamp(0, 1), atol=1e-5, rtol=0)
    else:
        assert torch.equal(found, plain)


def test_small_budgets_are_spent_on_codes_where_smoothing_is_no_better(codec, picture):
    brighter(codec, torch.full((3,), 2.0))  # far too bright
    ours = TokenFile.from_bytes(codec.compress(picture, rate=Rate(bpp=0.09))).streams[0].codes
    layer_of(codec).config = dataclasses.replace(SMALL, bases=False)
    theirs = TokenFile.from_bytes(codec.compress(picture, rate=Rate(bpp=0.09))).streams[0].codes
    assert not ours.details
    assert len(ours.codes) > 0
    np.testing.assert_array_equal(ours.counts, theirs.counts)
    np.testing.assert_array_equal(ours.codes, theirs.codes)


def test_no_coefficients_take_no_bytes(codec):
    network = TensorPictures(codec)
    coder = DetailCoder(network.detail)
    data = coder.without(DetailSteps(STEPS - 1, 3))
    assert data == bytes([STEPS - 1, 3])
    latents, counts = np.zeros((2, 3, 24), np.int64), np.zeros((2, 3), np.uint8)
    steps, levels, shapes = coder.unpack(latents, counts, data)
    assert steps == DetailSteps(STEPS - 1, 3)
    assert not levels.any()
    assert shapes is None
    for damaged in (data[:1], bytes([STEPS, 3]), bytes([0, 8])):
        with pytest.raises(FormatError, match="step"):
            coder.unpack(latents, counts, damaged)


def test_layers_before_have_coefficients(codec, picture):
    made = add_detail_layer(model(CONV), dataclasses.replace(SMALL, bases=False), "small")
    brighter(made, torch.full((3,), 0.01))
    assert not TokenFile.from_bytes(made.compress(picture, rate=COARSE)).streams[0].codes.details
