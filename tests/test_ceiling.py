"""The bench of ceilings: what is given to the base arrives, and nothing else changes."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest
import torch
from kit.audio import RATE, speechlike, tiny_model

from josiecodec.metrics.audio import si_sdr

BENCH = runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "ceiling.py"))  # no package that is installed
ceiling, spectrum, with_phase = BENCH["ceiling"], BENCH["spectrum"], BENCH["with_phase"]
with_magnitudes, with_low_band = BENCH["with_magnitudes"], BENCH["with_low_band"]
with_band_energies = BENCH["with_band_energies"]


@pytest.fixture(scope="module")
def original():
    return speechlike(12)[0, 0]


def test_what_is_whole_stays(original):
    for again in (
        with_phase(original, original, math.inf, RATE),
        with_magnitudes(original, original),
        with_low_band(original, original, 1000, RATE),
        with_band_energies(original, original, RATE),
    ):
        torch.testing.assert_close(again, original, atol=1e-4, rtol=0)


def test_phase_magnitudes_and_bands_of_the_original_arrive(original):
    torch.manual_seed(0)
    noise = 0.1 * torch.randn_like(original)
    assert si_sdr(with_phase(noise, original, math.inf, RATE), original) > si_sdr(noise, original) + 10
    low = with_low_band(noise, original, 1000, RATE)
    bins = round(900 * 480 / RATE)
    kept = (spectrum(low) - spectrum(original))[:bins].abs().square().sum()
    assert kept < 0.05 * spectrum(original)[:bins].abs().square().sum()
    high = round(1500 * 480 / RATE)

    def energy(wave):
        return float(spectrum(wave)[high:].abs().square().sum())

    quiet = with_band_energies(0.01 * noise, original, RATE)
    assert energy(quiet) == pytest.approx(energy(original), rel=0.3)


def test_all_rows_are_judged(original):
    scores = ceiling(tiny_model(), [original])
    assert {"coded", "unquantised", "phase", "magnitudes", "original below 1000 Hz", "band energies"} <= set(scores)
    assert scores["phase below 500 Hz"]["si_sdr"] < 100
    assert all(set(row) == {"pesq_wb", "stoi", "si_sdr", "mel"} for row in scores.values())
