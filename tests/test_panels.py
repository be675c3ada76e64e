"""Pictures of training say what they show."""

from __future__ import annotations

import torch
from kit.audio import RATE, speechlike

from josiecodec.display import HOP
from josiecodec.panels import BANDS, LEFT, LINE, RIGHT, labelled_columns, spectrogram_panels


def test_spectrograms_have_axes_and_one_scale():
    wave = speechlike(13)[0, 0]
    picture = spectrogram_panels([("original", wave), ("quiet", wave / 1000)], RATE)
    frames = 1 + len(wave) // HOP
    assert picture.shape == (3, 2 * (LINE + BANDS) + 2 * LINE, LEFT + frames + RIGHT)
    field = picture[:, :, LEFT : LEFT + frames]
    first, second = field[:, LINE : LINE + BANDS], field[:, 2 * LINE + BANDS : 2 * (LINE + BANDS)]
    assert second.mean() < 0.3 * first.mean()
    assert (picture[:, :, :LEFT] < 0.5).any()  # labels of the axis
    assert (picture[:, -2 * LINE :] < 0.5).any()


def test_columns_have_names():
    sheet = labelled_columns(torch.ones(3, 40, 120), ["original", "n_q 1", "n_q 4"])
    assert sheet.shape == (3, 40 + LINE, 120)
    for column in sheet[:, :LINE].split(40, -1):
        assert (column < 0.5).any()
