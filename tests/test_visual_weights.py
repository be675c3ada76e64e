"""The weight of an error in structural similarity, beside the measure itself."""

from __future__ import annotations

import math

import pytest
import torch
from kit.vision import scene

from josiecodec.metrics.vision import ms_ssim
from josiecodec.vision.block_transform import from_coefficients
from josiecodec.vision.visual_weights import MARGIN, STRIP, band_weights, window_weights


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    noise = torch.rand(3, 192, 192, generator=torch.Generator().manual_seed(1)) - 0.5
    noise[..., :96] *= 0.05  # smooth on the left
    return (0.25 + 0.5 * scene(192, 192)[0, :, 0] + 0.4 * noise).clamp(0, 1)


def lost(picture: torch.Tensor, error: torch.Tensor) -> float:
    """What small errors with these coefficients take away of the logarithm of MS-SSIM."""
    return -math.log(ms_ssim((picture.double() + from_coefficients(error)[0].double()), picture.double()))


@pytest.mark.parametrize("coefficient", [1, 5, 20, 60, 66, 150])
@pytest.mark.parametrize("columns", [(2, 10), (14, 22)])
def test_it_is_what_the_measure_says(picture, coefficient, columns):
    signs = torch.randint(2, (24, 24), generator=torch.Generator().manual_seed(0)) * 2 - 1
    error = torch.zeros(1, 24, 24, 192)
    inside = (slice(2, 22), slice(*columns))
    error[0, :, :, coefficient][inside] = 0.01 * signs[inside].float()
    weights = torch.einsum(
        "jhw,j->hw",
        torch.from_numpy(window_weights(picture[None])),
        torch.from_numpy(band_weights()).float()[:, coefficient],
    )
    # A mean over as many windows of each scale as lie within the picture.
    expected = float((weights * error[0, :, :, coefficient].square()).sum()) / (3 * 182**2)
    assert 0.4 < lost(picture, error) / expected < 2.5


def test_errors_count_most_where_little_goes_on_and_at_low_frequencies(picture):
    weights = window_weights(picture[None])
    smooth, busy = weights[..., :10].mean((1, 2)), weights[..., 14:].mean((1, 2))
    assert smooth[0] > 5 * busy[0]
    assert smooth[1] > busy[1]
    bands = band_weights()
    assert bands.shape == (5, 192)
    assert bands[:, 1].sum() > 5 * bands[:, 60].sum()
    assert (bands >= 0).all()
    assert (bands[:, :64] == bands[:, 64:128]).all()


def test_strips_are_seamless(picture):
    tall = torch.cat([picture[None]] * 4, 2)[..., :64]
    assert tall.shape[2] > STRIP + MARGIN
    weights = window_weights(tall)
    assert weights.shape == (5, 96, 8)
    part = window_weights(tall[..., STRIP - 3 * MARGIN - 64 :, :])
    assert torch.allclose(torch.from_numpy(weights[:, 64:]), torch.from_numpy(part[:, -32:]), rtol=1e-3)
