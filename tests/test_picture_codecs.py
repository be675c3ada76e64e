"""Picture formats at sizes: the finest quality whose file is no larger."""

from __future__ import annotations

from fractions import Fraction

import pytest
from kit.vision import scene

from josiecodec.errors import CodecError
from josiecodec.evaluation.bd_rates import curve_of
from josiecodec.evaluation.codecs import VISION, build
from josiecodec.evaluation.picture_codecs import PillowImage, _picture

STILL = Fraction(0)
PICTURE = scene(96, 128)[0, :, 0]


def bits(data: bytes) -> float:
    return 8 * len(data) / PICTURE[0].numel()


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
@pytest.mark.parametrize("size", [0.8, 1.5])
def test_the_finest_quality_that_fits(kind, size):
    codec = build(f"{kind}@{size}bpp", VISION)
    codec.prepare(PICTURE, STILL)
    assert bits(codec.encode(PICTURE, STILL)) <= size
    finer = [quality for quality in range(codec.quality + 1, codec.highest + 1)][:3]
    assert all(bits(codec._saved(_picture(PICTURE), quality)) > size for quality in finer[:1])
    assert codec.decode(codec.encode(PICTURE, STILL), STILL).shape == PICTURE.shape


def test_files_that_always_fit_have_the_best_quality():
    codec = build("jpeg@99bpp", VISION)
    codec.encode(PICTURE, STILL)
    assert codec.quality == codec.highest == 95


def test_ratios_of_jpeg_2000_meet_the_size():
    codec = build("jpeg2000@1bpp", VISION)
    assert 0.9 < bits(codec.encode(PICTURE, STILL)) <= 1


def test_each_picture_has_a_quality_of_its_own():
    codec = build("webp@1bpp", VISION)
    flat = PICTURE * 0.01 + 0.5
    found = [(codec.prepare(picture, STILL), codec.quality)[1] for picture in (PICTURE, flat, PICTURE)]
    assert found[0] == found[2] < found[1]


@pytest.mark.parametrize("kind", ["jpeg", "jpeg2000"])
def test_a_size_that_no_file_has(kind):
    with pytest.raises(CodecError, match=r"no JPEG(2000)? of 0.01 bits per pixel: the smallest has \d"):
        build(f"{kind}@0.01bpp", VISION).prepare(PICTURE, STILL)


@pytest.mark.parametrize("setting", ["bpp", "0bpp", "-1bpp", "nanbpp", "xbpp"])
def test_sizes_that_are_none(setting):
    with pytest.raises(CodecError, match="is not a setting of jpeg"):
        build(f"jpeg@{setting}", VISION)


def test_sizes_are_a_curve_of_their_own():
    assert curve_of("jpeg@20") == "jpeg" != curve_of("jpeg@0.2bpp") == curve_of("jpeg@0.4bpp")


def test_jpeg_xl_needs_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_jxl", None)
    with pytest.raises(CodecError, match="pillow-jxl-plugin"):
        build("jxl@20", VISION)


def test_tunings_of_avif():
    if isinstance(build("jpeg@5", VISION), PillowImage) and not __import__("PIL.features").features.check("avif"):
        pytest.skip("no AVIF here")
    codecs = [build(f"{name}@40", VISION) for name in ("avif", "avif-psnr", "avif-ssim")]
    sizes = {len(codec.encode(PICTURE, STILL)) for codec in codecs}
    assert len(sizes) > 1
