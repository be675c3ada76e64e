"""Flat colours in videos with motion."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

import josiecodec
from josiecodec.coding.motion_flat import SHADE, code_flats, flat_patches, within_reach
from josiecodec.coding.motion_pictures import grey
from josiecodec.vision.motion_planes import to_planes


def _clip(colour: tuple[int, int, int], pictures: int = 3) -> torch.Tensor:
    return torch.tensor(colour).view(3, 1, 1, 1).expand(3, pictures, 48, 64) / 255


def _worst(x: torch.Tensor, **rate: float) -> int:
    codec = josiecodec.load("jovio-16")
    back = codec.decompress(codec.compress(x, pictures_per_second=Fraction(25), **rate))
    return int((255 * (back - x)).round().abs().max())


@pytest.mark.parametrize("colour", [(243,) * 3, (8,) * 3, (100,) * 3, (255, 0, 0), (20, 60, 200), (255, 255, 0)])
def test_flat_clip_keeps_its_colour_at_the_default_rate(colour):
    assert _worst(_clip(colour)) <= 2


def test_flat_clip_keeps_its_colour_at_a_rate():
    assert _worst(_clip((243, 243, 243), 5), kbps=85) <= 2


def test_flat_surroundings_of_what_moves_keep_their_colour():
    x = _clip((60, 120, 200), 6).clone()
    for n in range(6):
        x[:, n, 4:12, 4 + 3 * n : 12 + 3 * n] = torch.tensor([0.8, 0.1, 0.1]).view(3, 1, 1)
    codec = josiecodec.load("jovio-16")
    back = codec.decompress(codec.compress(x, pictures_per_second=Fraction(25)))
    assert int((255 * (back - x)[:, :, 24:]).round().abs().max()) <= 2


def test_only_flat_patches_are_coded_anew():
    picture = to_planes(np.full((3, 16, 32), 243 / 255, np.float32))
    picture.y[:, 16:] = np.random.default_rng(0).integers(0, 255, (16, 16))
    assert flat_patches(picture).tolist() == [[True, False]]
    levels, difference = np.zeros((1, 2, 6, 64), np.int16), np.full((1, 2, 6, 8, 8), 12, np.int16)
    offsets = code_flats(picture, difference, 80, np.zeros((1, 2), np.int8), levels, np.ones((1, 2), np.uint8), True)
    assert not levels[0, 1].any()
    assert levels[0, 0, 0, 0] == 12
    assert 80 + 4 * offsets[0, 0] == SHADE
    assert not offsets[0, 1]


def test_step_of_a_picture_without_wrong_flats_is_left_alone():
    picture, offsets = grey(1, 2), np.zeros((1, 2), np.int8)
    step, same = within_reach(picture, picture, 120, offsets, True)
    assert step == 120
    assert same is offsets
    white = to_planes(np.ones((3, 16, 32), np.float32))
    step, finer = within_reach(white, picture, 120, offsets, True)
    assert step + 4 * int(finer[0, 0]) == 120
    assert step < 120
