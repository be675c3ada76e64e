"""Picture files: colours by their profiles, what black and white are, animations, pages, formats of plugins."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib

import numpy as np
import pytest
from kit.colors import in_primaries, pq
from kit.films import chart, film, patch_means
from kit.pictures import PICTURES, grey_chart, packed_12, profile, tiff
from PIL import Image

from josiecodec.errors import MediaError
from josiecodec.media.image_color import nclx_numbers
from josiecodec.media.images import load_image
from josiecodec.media.kinds import kind_of
from josiecodec.media.video_reader import load_video


def levels(path) -> np.ndarray:
    """A picture in levels [H, W, 3]."""
    return load_image(path).permute(1, 2, 0).numpy() * 255


def error(path, right=None) -> float:
    return float(np.abs(patch_means(levels(path)) - patch_means(chart() if right is None else right)).mean())


@pytest.mark.parametrize("name", [name for name in PICTURES if not name.startswith("grey")])
@pytest.mark.filterwarnings("ignore:.*channels that are neither")
def test_colors_of_every_kind(tmp_path, name):
    for suffix, plugin in ((".heic", "pillow_heif"), (".jxl", "pillow_jxl")):
        if name.endswith(suffix):
            pytest.importorskip(plugin)
    path = PICTURES[name](tmp_path)
    assert kind_of(path) == "image"
    assert error(path) < 1


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("grey")])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_greys_of_every_depth(tmp_path, name):
    grey = levels(PICTURES[name](tmp_path))[..., 0]
    assert np.abs(grey - 255 * grey_chart()).max() < 0.2


def test_transparency_and_turning_with_a_profile(tmp_path):
    colors = np.rint(in_primaries(chart(), 12) / 257).astype(np.uint8)
    picture = np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8)])
    picture[:16, :16, 3] = 0
    Image.fromarray(picture).save(tmp_path / "x.png", icc_profile=profile(12))
    with pytest.warns(UserWarning, match="white"):
        found = levels(tmp_path / "x.png")
    assert found[:16, :16].min() == 255
    assert np.abs(patch_means(found) - patch_means(chart()))[1:].mean() < 1


def test_a_profile_of_srgb_changes_nothing(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "x.png", icc_profile=profile(1))
    assert np.array_equal(levels(tmp_path / "x.png").round(), picture)


def test_a_profile_that_is_none_is_ignored_with_a_warning(tmp_path):
    Image.fromarray(chart()).save(tmp_path / "x.png", icc_profile=b"no profile at all")
    with pytest.warns(UserWarning, match="colour profile cannot be used"):
        assert error(tmp_path / "x.png") == 0


def test_numbers_of_a_hdr_photo():
    from josiecodec.media.image_color import in_srgb

    box = b"....colrnclx" + bytes([0, 9, 0, 16, 0, 9, 0x80])
    assert nclx_numbers(box) == (9, 16)
    assert nclx_numbers(b"nothing") is None
    image = Image.fromarray(np.rint(pq(chart()) / 257).astype(np.uint8))
    image.info["nclx_profile"] = {"color_primaries": 9, "transfer_characteristics": 16}
    found = np.asarray(in_srgb(image, "x")).astype(float)
    assert np.abs(patch_means(found) - patch_means(chart())).mean() < 2  # PQ in eight bits is coarse


def test_values_that_could_mean_anything_are_scaled_with_a_warning(tmp_path):
    heights = (grey_chart() * 3000 - 1000).astype("<i2")
    (tmp_path / "x.tif").write_bytes(tiff(heights.tobytes(), (64, 96), 16, 2))
    with pytest.warns(UserWarning, match="taken for black to white"):
        found = load_image(tmp_path / "x.tif")
    assert (found.min(), found.max()) == (0, 1)
    (tmp_path / "y.tif").write_bytes(tiff((grey_chart() * 60000).astype("<i4").tobytes(), (64, 96), 32, 2))
    with pytest.warns(UserWarning, match="65535 is taken for white"):
        assert load_image(tmp_path / "y.tif").max() == pytest.approx((grey_chart() * 60000).max() / 65535, abs=0.01)


def test_floating_point_numbers_that_are_none(tmp_path):
    values = grey_chart().astype("<f4")
    values[0, 0] = np.nan
    (tmp_path / "x.tif").write_bytes(tiff(values.tobytes(), (64, 96), 32, 3))
    assert load_image(tmp_path / "x.tif")[0, 0, 0] == 0


def test_twelve_bits_are_not_dark(tmp_path):
    white = np.full((64, 96), 4095)
    (tmp_path / "x.tif").write_bytes(tiff(packed_12(white), (64, 96), 12, 1))
    assert load_image(tmp_path / "x.tif").min() == 1


def test_colors_of_sixteen_bits_are_rounded(tmp_path):
    random = np.random.default_rng(0)
    values = random.integers(0, 65536, (20, 30, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    (tmp_path / "x.png").write_bytes(data)
    assert np.abs(levels(tmp_path / "x.png") - values / 257).max() <= 0.501


def test_deep_greys_are_turned_upright(tmp_path):
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 1000
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(values).save(tmp_path / "x.png", exif=exif)
    assert np.allclose(load_image(tmp_path / "x.png")[0] * 65535, np.rot90(values, -1), atol=0.01)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "avif"])
def test_animations_are_videos(tmp_path, suffix):
    frames = [Image.new("RGB", (32, 48), (level, level, level)) for level in (40, 120, 200)]
    path = tmp_path / f"x.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 200, 100])
    assert kind_of(path) == "video"
    video, rate = load_video(path)
    assert rate == 10
    shown = (video.mean((0, 2, 3)) * 255).round().tolist()
    assert np.abs(np.array(shown) - [40, 120, 120, 200]).max() <= 3
    with pytest.warns(UserWarning, match="an animation, the first of 3"):
        assert load_image(path).shape == (3, 48, 32)


def test_transparent_animations_are_put_on_white_with_one_warning(tmp_path):
    frames = [Image.new("RGBA", (16, 16), (0, 0, 0, alpha)) for alpha in (0, 128, 64)]
    frames[0].save(tmp_path / "x.png", save_all=True, append_images=frames[1:], duration=100, disposal=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        video, _ = load_video(tmp_path / "x.png")
    assert [str(w.message).split(": ")[1] for w in caught] == ["transparency is put on white"]
    assert video[:, 0].min() == 1
    assert video[:, 1].mean() == pytest.approx(0.5, abs=0.01)


def test_pages_are_told(tmp_path):
    pages = [Image.new("RGB", (20, 10), (level, 0, 0)) for level in (10, 20)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    assert kind_of(tmp_path / "x.tif") == "image"
    with pytest.warns(UserWarning, match="first of 2 pictures"):
        assert load_image(tmp_path / "x.tif")[0].max() == pytest.approx(10 / 255)


HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100)
JXL = b"\xff\x0a" + bytes(100)


@pytest.mark.parametrize(
    ("name", "data", "module", "package"),
    [("x.heic", HEIC, "pillow_heif", "pillow-heif"), ("x.jxl", JXL, "pillow_jxl", "pillow-jxl-plugin")],
)
def test_a_missing_plugin_is_named(tmp_path, monkeypatch, name, data, module, package):
    (tmp_path / name).write_bytes(data)
    assert kind_of(tmp_path / name) == "image"
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MediaError, match=f"pip install {package}"):
        load_image(tmp_path / name)


@pytest.mark.parametrize(("module", "name"), [("pillow_heif", "x.heic"), ("pillow_jxl", "x.jxl")])
def test_pictures_of_plugins(tmp_path, module, name):
    plugin = pytest.importorskip(module)
    if module == "pillow_heif":
        plugin.register_heif_opener()
    Image.fromarray(chart()).save(tmp_path / name, quality=95)
    assert kind_of(tmp_path / name) == "image"
    assert error(tmp_path / name) < 2


def test_grey_pictures_with_profiles_of_colors(tmp_path):
    Image.fromarray(chart()).convert("L").save(tmp_path / "x.png", icc_profile=profile(12))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = levels(tmp_path / "x.png")
    assert np.abs(found - np.asarray(Image.fromarray(chart()).convert("L"))[..., None]).max() <= 1.01


def test_cmyk_is_converted_by_its_profile_or_by_rule(tmp_path):
    image = Image.fromarray(chart()).convert("CMYK")
    image.save(tmp_path / "x.tif")
    assert error(tmp_path / "x.tif") < 1


def test_what_is_damaged_is_one_error(tmp_path):
    for name, data in (("x.tif", b"II*\0\xff\xff\xff\xff"), ("x.gif", b"GIF89a"), ("x.jp2", JXL[2:]), ("x.heic", HEIC)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MediaError):
            load_image(tmp_path / name)
    out = io.BytesIO()
    Image.fromarray(chart()).save(out, "PNG")
    (tmp_path / "cut.png").write_bytes(out.getvalue()[: len(out.getvalue()) // 2])
    with pytest.raises(MediaError, match="not an image"):
        load_image(tmp_path / "cut.png")


def test_a_film_is_no_picture(tmp_path):
    film(tmp_path / "x.png", container="mp4", seconds=0.4)
    assert kind_of(tmp_path / "x.png") == "video"
    with pytest.raises(MediaError, match="not an image"):
        load_image(tmp_path / "x.png")
