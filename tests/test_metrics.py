"""Metrics: known values, and what cannot be scored."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from kit.audio import RATE, speechlike
from kit.vision import scene

from josiecodec.errors import CodecError
from josiecodec.metrics import vmaf
from josiecodec.metrics.audio import MEASURES, mel_distance, pesq, score, si_sdr, stoi
from josiecodec.metrics.vision import frame_difference_psnr, ms_ssim, mse, psnr


@pytest.fixture(scope="module")
def speech():
    return speechlike(40)[0, 0]


def test_a_perfect_copy(speech):
    found = score(speech, speech, RATE)
    assert found["pesq_wb"] == pytest.approx(4.64, abs=0.02)
    assert found["stoi"] == pytest.approx(1, abs=1e-3)
    assert found["si_sdr"] > 100
    assert found["mel"] == 0


def test_more_noise_is_worse(speech):
    noise = torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    found = [score(speech + n * noise, speech, RATE) for n in (0.003, 0.03, 0.3)]
    for name, down in (("pesq_wb", True), ("stoi", True), ("si_sdr", True), ("mel", False)):
        values = [f[name] for f in found]
        assert values == sorted(values, reverse=down), name


def test_si_sdr_is_what_its_definition_says():
    x = torch.tensor([1.0, -1, 1, -1])
    y = x + torch.tensor([0.1, 0.1, -0.1, -0.1])
    assert si_sdr(y, x) == pytest.approx(20, abs=1e-3)
    assert si_sdr(3 * y, x) == pytest.approx(20, abs=1e-3)


def test_silence_cannot_be_scored(speech):
    silence = torch.zeros(RATE)
    assert math.isnan(pesq(silence, silence, RATE))
    assert math.isnan(stoi(silence, silence, RATE))
    assert math.isnan(si_sdr(silence, silence))
    assert math.isnan(stoi(speech[:100], speech[:100], RATE))
    assert mel_distance(silence, silence, RATE) == 0


@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e-8])
def test_an_output_of_nothing_is_the_worst(speech, factor):
    found = score(factor * speech, speech, RATE)
    assert found["pesq_wb"] == pytest.approx(1.0427, abs=1e-3)
    assert found["pesq_nb"] == pytest.approx(1.0179, abs=2e-3)
    assert found["stoi"] == found["estoi"] == 0
    assert found["si_sdr"] == -100
    assert si_sdr(torch.full_like(speech, 0.1), speech) == -100  # a constant is nothing to be heard


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_samples_that_are_no_numbers_are_refused(speech, bad):
    wrong = speech.clone()
    wrong[100] = bad
    for measure in MEASURES.values():
        for pair in ((wrong, speech), (speech, wrong), (speech[1:], speech)):
            with pytest.raises(CodecError):
                measure(*pair, RATE)


def test_steady_noise_has_stoi_but_no_estoi(speech):
    noise = 0.1 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    found = score(noise, speech, RATE)
    assert found["stoi"] > 0.3
    assert abs(found["estoi"]) < 0.1


@pytest.fixture(scope="module")
def image():
    return scene(192, 192)[0, :, 0]


def test_image_and_video_metrics_have_known_values(image):
    assert psnr(image, image) == math.inf
    assert psnr(image + 0.1, image) == pytest.approx(20, abs=1e-4)
    assert mse(image + 0.1, image) == pytest.approx(0.01, rel=1e-4)
    assert ms_ssim(image, image) == pytest.approx(1)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    assert ms_ssim(image + 0.2 * noise, image) < 0.95
    assert math.isnan(ms_ssim(image[:, :100], image[:, :100]))
    for side in range(160, 180):  # one that can be computed, or none: never an error
        small = torch.rand(3, side, 180, generator=torch.Generator().manual_seed(side))
        assert math.isnan(ms_ssim(small, small)) == (side < 176)
    still = image[:, None].expand(-1, 3, -1, -1)
    assert frame_difference_psnr(still, still) == math.inf
    flicker = still + torch.tensor([0.05, -0.05, 0.05]).view(1, 3, 1, 1)
    assert frame_difference_psnr(flicker, still) == pytest.approx(20, abs=1e-3)
    assert math.isnan(frame_difference_psnr(still[:, :1], still[:, :1]))


@pytest.mark.parametrize("metric", [mse, psnr, ms_ssim, frame_difference_psnr])
def test_integers_and_other_shapes_are_refused(metric, image):
    video = image[:, None].expand(-1, 3, -1, -1) if metric is frame_difference_psnr else image
    as_bytes = (video * 255).byte()
    for decoded, original in ((as_bytes, video), (video, as_bytes), (as_bytes, as_bytes)):
        with pytest.raises(CodecError, match="floating point"):
            metric(decoded, original)
    for shape in ((slice(None), slice(1)), (slice(None), slice(None), slice(180))):
        with pytest.raises(CodecError, match="cannot be compared"):
            metric(video[shape], video)


def test_vmaf_is_a_matter_of_the_program(monkeypatch, tmp_path):
    """A program that says what it can do, and writes what libvmaf writes; and one that does not know it."""
    video = torch.rand(3, 4, 16, 32)
    program = tmp_path / "ffmpeg"
    for knows, found in (("vmafmotion", None), ("libvmaf", str(program))):
        program.write_text(
            f"#!/bin/sh\nif [ $2 = -filters ]; then echo ' .. {knows} VV->V'; exit; fi\n"
            "test $(wc -c < original) = 6144 -a $(wc -c < decoded) = 6144 || exit 1\n"
            'echo \'{"pooled_metrics": {"vmaf": {"mean": 93.5}}}\' > log.json\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv(vmaf.SWITCH, str(program))
        monkeypatch.setattr(vmaf.shutil, "which", lambda name: None)
        monkeypatch.setattr(vmaf, "_of_imageio", lambda: None)
        vmaf.ffmpeg_with_vmaf.cache_clear()
        assert vmaf.ffmpeg_with_vmaf() == found
        if found:
            assert vmaf.vmaf(video, video, Fraction(25)) == 93.5
            with pytest.raises(CodecError, match="shapes"):
                vmaf.vmaf(video, video[:, :2], Fraction(25))
            program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
            with pytest.raises(CodecError, match="broken"):
                vmaf.vmaf(video, video, Fraction(25))
        else:
            with pytest.raises(CodecError, match="needs an ffmpeg"):
                vmaf.vmaf(video, video, Fraction(25))
    vmaf.ffmpeg_with_vmaf.cache_clear()
