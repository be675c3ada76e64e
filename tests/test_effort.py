"""Effort of the encoder of pictures."""

from __future__ import annotations

import dataclasses

import pytest
from kit.processes import run
from kit.vision import CONV, model, scene

from josiecodec.coding.effort import EFFORTS
from josiecodec.coding.picture_base import PictureBase
from josiecodec.coding.picture_tools import Tools
from josiecodec.errors import ConfigError
from josiecodec.settings import EncoderSettings
from josiecodec.training.vision.detail_layer import add_detail_layer
from josiecodec.vision.config import DetailConfig

SMALL = DetailConfig(channels=16, blocks=(1, 1, 1), filter_channels=8, filter_blocks=1)


@pytest.fixture(scope="module")
def codec():
    return add_detail_layer(model(CONV), SMALL, "small-detail")


def test_more_effort_tries_more_and_keeps_the_rate(codec, monkeypatch):
    x, tries = scene(96, 128)[0, :, 0], []
    estimate = PictureBase.estimated_bits
    monkeypatch.setattr(PictureBase, "estimated_bits", lambda *a: (tries.append(1), estimate(*a))[1])
    counts = {}
    for effort in EFFORTS:
        tries.clear()
        data = codec.compress(x, bpp=4.0, settings=dataclasses.replace(codec.settings, effort=effort))
        counts[effort] = len(tries)
        assert abs(8 * len(data) / (96 * 128) / 4.0 - 1) < 0.03
    assert counts["fast"] < counts["default"] < counts["high"]


def test_beams(codec):
    def beams(asked: int, effort: str) -> int:
        settings = dataclasses.replace(codec.settings, beams=asked, effort=effort)
        return Tools.of(codec.picture_network(), settings, None).beams

    assert [beams(16, effort) for effort in EFFORTS] == [4, 16, 32]
    assert (beams(2, "fast"), beams(64, "high")) == (2, 64)


def test_efforts_that_there_are_not(tmp_path):
    with pytest.raises(ConfigError, match="effort must be one of fast, default, high"):
        EncoderSettings(effort="slow")
    assert "'slow' is not one of" in run("encode", tmp_path / "a.png", "--effort", "slow", code=2)
