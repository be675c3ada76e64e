"""Constant quality: images of a PSNR, videos at the lambda of one."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from kit.processes import run_cli
from kit.video import write_video
from kit.vision import CONV, model, scene
from PIL import Image

import josiecodec
from josiecodec.coding import motion_encoder, video
from josiecodec.coding.heap import return_freed
from josiecodec.coding.motion_codec import video_encoder
from josiecodec.coding.motion_encoder import MotionEncoder
from josiecodec.coding.quality import MAX_TRIES, as_lambda, with_psnr
from josiecodec.coding.video import encode_video
from josiecodec.errors import CodecError
from josiecodec.settings import Rate
from josiecodec_cli.main import cli

PIXELS = 100_000


def search(psnr, wanted, most=math.inf):
    """Try rates of a picture whose file takes what is asked for, up to `most`, and has such a PSNR."""
    tried = []

    def encode(bpp):
        tried.append(bpp)
        return b"x" * max(1, round(min(bpp, most) * PIXELS / 8))

    found = with_psnr(encode, lambda data: psnr(8 * len(data) / PIXELS), wanted, PIXELS)
    return found, len(tried)


@pytest.mark.parametrize("wanted", [24.0, 33.0, 38.0, 47.0])
@pytest.mark.parametrize("slope", [2.5, 4.5, 7.0])
def test_a_psnr_is_found(wanted, slope):
    found, tries = search(lambda bpp: 34 + slope * math.log2(bpp / 0.7), wanted)
    assert abs(found.psnr - wanted) < 0.2
    assert tries <= MAX_TRIES


def test_what_cannot_be_had_is_the_nearest():
    found, tries = search(lambda bpp: min(40.0, 34 + 4 * math.log2(bpp / 0.7)), 50.0, most=2.0)
    assert found.psnr == 40.0
    assert tries <= 4
    found, _ = search(lambda bpp: math.inf if bpp > 0.3 else 20.0, 40.0)
    assert found.psnr == 20.0


def test_images_have_the_psnr_that_was_asked_for(tmp_path):
    random = torch.Generator().manual_seed(0)
    x = scene(96, 128, 1)[0][:, 0] * 0.8 + 0.02 * torch.randn(3, 96, 128, generator=random)
    pixels = (x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "x.png")
    for wanted in (31.0, 37.0):
        done = josiecodec.encode_file(tmp_path / "x.png", overwrite=True, rate=Rate(psnr=wanted))
        josiecodec.decode_file(tmp_path / "x.josie", tmp_path / "y.png", overwrite=True)
        y = torch.from_numpy(np.array(Image.open(tmp_path / "y.png"))).float()
        error = float((y - torch.from_numpy(pixels).float()).square().mean())
        assert done.psnr == pytest.approx(20 * math.log10(255) - 10 * math.log10(error), abs=0.02)
        assert done.psnr == pytest.approx(wanted, abs=0.2)


def test_videos_have_one_lambda(tmp_path):
    codec = model(CONV)
    assert as_lambda(Rate(kbps=3.0)) == Rate(kbps=3.0)
    lambdas = [as_lambda(Rate(psnr=p)).rd_lambda for p in (25.0, 35.0, 45.0)]
    assert lambdas == sorted(lambdas, reverse=True)
    encoder = video_encoder(codec, Rate(psnr=35.0), (48, 64), Fraction(10))
    assert isinstance(encoder, MotionEncoder)
    assert encoder.rate.rd_lambda == lambdas[1]
    write_video(tmp_path / "x.mkv", pictures=6)
    sizes = [
        encode_video(codec, None, tmp_path / "x.mkv", tmp_path / "x.josie", rate=Rate(psnr=p)).size for p in (24, 36)
    ]
    assert sizes[0] < sizes[1]


def test_what_is_refused(tmp_path):
    for psnr in (5.0, 80.0, float("nan")):
        with pytest.raises(CodecError):
            Rate(psnr=psnr)
    with pytest.raises(CodecError, match="only one"):
        Rate(psnr=30.0, bpp=0.1)
    with pytest.raises(CodecError, match="compress"):
        model(CONV).encode(torch.zeros(1, 3, 16, 16), rate=Rate(psnr=30.0))
    (tmp_path / "x.png").touch()
    done = CliRunner().invoke(cli, ["encode", str(tmp_path / "x.png"), "--psnr", "30", "--bpp", "1"])
    assert done.exit_code != 0


def test_the_command_line(tmp_path):
    pixels = (scene(48, 64, 1)[0][:, 0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "x.png")
    done = json.loads(run_cli("encode", tmp_path / "x.png", "--psnr", 30, "--json").stdout)
    assert done["psnr"] == pytest.approx(30, abs=0.2) or done["problems"]


def test_windows_of_videos_give_their_memory_back(tmp_path, monkeypatch):
    """What they free is scattered over the heap, which would grow from window to window."""
    returned = []
    monkeypatch.setattr(video, "return_freed", lambda: returned.append(return_freed()))
    monkeypatch.setattr(motion_encoder, "WINDOW", 16)
    write_video(tmp_path / "x.mkv", pictures=40)
    encode_video(model(CONV), None, tmp_path / "x.mkv", tmp_path / "x.josie", rate=Rate(rd_lambda=0.05))
    assert len(returned) == 2
