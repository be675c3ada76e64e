"""Pictures of more than eight bits a value, of the kinds that Pillow or FFmpeg alone reads wrong."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from kit import jxl
from kit.colors import pq
from kit.films import chart, patch_means
from kit.pictures import gamma_profile, png16, profile
from kit.tiffs import GREY, write_tiff
from PIL import Image, PngImagePlugin, TiffImagePlugin

from josiecodec.errors import MediaError
from josiecodec.media import image_numbers
from josiecodec.media.color_math import SRGB
from josiecodec.media.image_profile import hdr_numbers, matrix_numbers
from josiecodec.media.images import load_image, load_picture

DEEP = chart().astype(np.uint16) * 257
GREEN = chart()[..., 1]


def error_of(path, right, limit=0.5):
    """Checks the mean error of the patches, in levels."""
    found = load_image(path).permute(1, 2, 0).numpy() * 255
    assert np.abs(patch_means(found) - patch_means(np.broadcast_to(right, found.shape))).mean() < limit


def test_tiles_of_sixteen_bits(tmp_path):
    """FFmpeg gives a black picture."""
    error_of(write_tiff(tmp_path / "a.tif", DEEP, tile=32), chart())


def test_floating_point_colors(tmp_path):
    """Pillow does not open them."""
    error_of(write_tiff(tmp_path / "a.tif", (chart() / 255).astype(np.float32)), chart())
    with pytest.warns(UserWarning, match="255 is taken for white"):
        error_of(write_tiff(tmp_path / "b.tif", chart().astype(np.float32)), chart())
    turned = write_tiff(tmp_path / "c.tif", (chart()[::-1, ::-1] / 255).astype(np.float32), more=[(274, 3)])
    error_of(turned, chart())


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.uint32])
def test_numbers_that_cannot_be_read_are_named(tmp_path, kind):
    path = write_tiff(tmp_path / "a.tif", chart().astype(kind))
    with pytest.raises(MediaError, match="in a form that is not known; save it"):
        load_image(path)


def test_premultiplied_transparency_of_sixteen_bits(tmp_path):
    half = np.full((*DEEP.shape[:2], 1), 32768, np.uint16)
    path = write_tiff(tmp_path / "a.tif", np.concatenate([DEEP // 2, half], 2), more=[(338, 1)])
    with pytest.warns(UserWarning, match="put on white"):
        error_of(path, chart() / 2 + 127.5)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_coarse_grey_that_is_transparent(tmp_path, depth):
    """Pillow compares the value of so many bits with those of eight."""
    values = GREEN >> (8 - depth)
    rows = [
        np.packbits(row).tobytes() for row in np.unpackbits(values[..., None], -1)[..., 8 - depth :].reshape(64, -1)
    ]
    hidden = int(values[0, 0])
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 96, 64, depth, 0, 0, 0, 0)), (b"tRNS", struct.pack(">H", hidden))]
    parts += [(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    found = load_picture(tmp_path / "a.png")
    assert np.array_equal(found.alpha.numpy() == 0, values == hidden)
    assert np.abs(found.rgb[0].numpy() - values / (2**depth - 1)).max() < 0.003


def test_a_fine_grey_that_is_transparent(tmp_path):
    values = GREEN.astype(np.uint16) * 257
    Image.fromarray(values).save(tmp_path / "a.png", transparency=int(values[0, 0]))
    with pytest.warns(UserWarning, match="put on white"):
        error_of(tmp_path / "a.png", np.where(GREEN[0, 0] == GREEN, 255, GREEN)[..., None])


def test_fine_greys_by_their_gamma_and_by_their_profile(tmp_path):
    light = GREEN / 255.0
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", (100000).to_bytes(4, "big"))
    Image.fromarray(np.rint(light * 65535).astype(np.uint16)).save(tmp_path / "a.png", pnginfo=info)
    error_of(tmp_path / "a.png", GREEN[..., None])
    linear = bytearray(profile(1))  # the curve of each channel made a straight line
    for at in (linear.find(name, 128, 400) for name in (b"rTRC", b"gTRC", b"bTRC")):
        place = int.from_bytes(linear[at + 4 : at + 8], "big")
        linear[place : place + 16] = b"curv" + bytes(4) + bytes(4) + bytes(4)
    Image.fromarray(np.rint(light * 65535).astype(np.uint16)).save(tmp_path / "b.png", icc_profile=bytes(linear))
    error_of(tmp_path / "b.png", GREEN[..., None], 1.0)
    grey = write_tiff(tmp_path / "c.tif", DEEP[..., 1:2], photometric=GREY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error_of(grey, GREEN[..., None])


def test_exif_without_the_part_that_marks_adobe_rgb(tmp_path, monkeypatch):
    """Pillow 11 raises KeyError for a part that is not there."""

    class Exif(dict):
        def get_ifd(self, tag):
            raise KeyError(tag)

    image = Image.fromarray(chart())
    image.format = "JPEG"
    monkeypatch.setattr(image, "getexif", lambda: Exif({274: 1}))
    assert image_numbers.numbers_of(image) == (image_numbers.UNSPECIFIED, image_numbers.UNSPECIFIED)


def test_colors_of_sixteen_bits_are_converted_before_they_are_rounded(tmp_path):
    """Dark tones in linear light have no eight bits."""
    ramp = np.repeat(np.linspace(0, 3000, 64).round().astype(np.uint16)[None, :, None], 3, 2)
    light = ramp / 65535
    right = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    gama, icc = (b"gAMA", (100000).to_bytes(4, "big")), zlib.compress(gamma_profile(1, 1.0))
    for chunk in (gama, (b"iCCP", b"x\0\0" + icc)):
        (tmp_path / "a.png").write_bytes(png16(ramp, chunk))
        found = load_image(tmp_path / "a.png").permute(1, 2, 0).numpy() * 255
        assert np.abs(found - right).max() < 0.7


def test_profiles_as_numbers():
    points, gamma = matrix_numbers(gamma_profile(12, 2.2))
    assert gamma == pytest.approx(2.2, abs=2e-3)
    assert matrix_numbers(profile(12))[1] == SRGB
    assert np.allclose(points[3], (0.3457, 0.3585), atol=1e-3)
    half = profile(1)[:300]
    for data in (None, b"", half, half[:133], bytes(200), profile(1)[:128] + b"\xff" * 200):
        assert matrix_numbers(data) is None
        assert hdr_numbers(data) is None


def test_channels_without_a_meaning_are_told(tmp_path):
    path = write_tiff(tmp_path / "a.tif", np.dstack([DEEP, DEEP[..., :1]]), more=[(338, 0)])
    with pytest.warns(UserWarning, match="neither colours nor alpha"):
        picture = load_picture(path)
    assert picture.alpha is None


def test_signed_bytes(tmp_path):
    """Pillow takes them for unsigned ones."""
    error_of(
        write_tiff(tmp_path / "a.tif", np.rint(GREEN / 255 * 127).astype(np.int8)[..., None], GREY), GREEN[..., None]
    )
    path = write_tiff(tmp_path / "b.tif", (GREEN.astype(int) - 128).astype(np.int8)[..., None], GREY)
    with pytest.warns(UserWarning, match="values from -76 to 115 are taken for black to white"):
        load_image(path)
    with pytest.raises(MediaError, match="signed colours"):
        load_image(write_tiff(tmp_path / "c.tif", chart().astype(np.int16)))


def pages(path, *kinds):
    """A TIFF of pages: (picture, type of the page)."""
    with TiffImagePlugin.AppendingTiffWriter(str(path), True) as out:
        for picture, kind in kinds:
            picture.save(out, "TIFF", tiffinfo={254: kind})
            out.newFrame()
    return path


def test_thumbnails_and_masks_of_tiff_are_no_pages(tmp_path):
    whole = Image.fromarray(chart())
    small, mask = whole.resize((24, 16)), Image.new("1", (96, 64), 1)
    with warnings.catch_warnings(action="error"):
        error_of(pages(tmp_path / "a.tif", (small, 1), (whole, 0)), chart())
        error_of(pages(tmp_path / "b.tif", (whole, 0), (small, 1), (mask, 4)), chart())
    path = pages(tmp_path / "c.tif", (whole, 0), (mask, 4))
    data = path.read_bytes()
    at = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[at : at + 2], "little")
    at = int.from_bytes(data[at + 2 + 12 * count :][:4], "little")
    entry = data.index(struct.pack("<HHI", 262, 3, 1), at)
    path.write_bytes(data[: entry + 8] + b"\4\0" + data[entry + 10 :])  # a mask, which Pillow does not know
    with warnings.catch_warnings(action="error"):
        error_of(path, chart())
    with pytest.warns(UserWarning, match="the first of 2 pictures"):
        load_image(pages(tmp_path / "d.tif", (small, 1), (whole, 2), (whole, 2)))


def test_narrow_range_of_png(tmp_path):
    """`cICP` may say that black is 16 and white 235, or 256 times that."""
    narrow = np.rint(4096 + chart().astype(float) / 255 * 219 * 256)
    said = b"cICP", bytes([1, 13, 0, 0])
    (tmp_path / "deep.png").write_bytes(png16(narrow.astype(np.uint16), said))
    error_of(tmp_path / "deep.png", chart(), 0.01)
    info = PngImagePlugin.PngInfo()
    info.add(*said)
    eight = Image.fromarray(np.rint(narrow / 256).astype(np.uint8))
    for name, picture in (("a", eight), ("b", eight.quantize(64)), ("c", eight.convert("RGBA"))):
        picture.save(tmp_path / f"{name}.png", pnginfo=info)
        error_of(tmp_path / f"{name}.png", chart(), 0.4)
    Image.fromarray(narrow[..., 1].astype(np.uint16)).save(tmp_path / "d.png", pnginfo=info)
    error_of(tmp_path / "d.png", GREEN[..., None], 0.01)
    (tmp_path / "pq.png").write_bytes(
        png16(np.rint(4096 + pq(chart()) / 65535 * 219 * 256).astype(np.uint16), (b"cICP", bytes([9, 16, 0, 0])))
    )
    error_of(tmp_path / "pq.png", chart())


def test_what_the_plugin_of_jpeg_xl_does_not_know(tmp_path):
    pytest.importorskip("pillow_jxl")
    (tmp_path / "turned.jxl").write_bytes(jxl.TURNED)
    turned = load_image(tmp_path / "turned.jxl").permute(1, 2, 0).numpy() * 255
    assert np.array_equal(turned.round().astype(np.uint8), np.rot90(chart(), -1))
    (tmp_path / "moving.jxl").write_bytes(jxl.ANIMATED)
    with pytest.raises(MediaError, match="an animated JPEG XL"):
        load_image(tmp_path / "moving.jxl")
    (tmp_path / "grey.jxl").write_bytes(jxl.GREY_ALPHA_16)
    picture = load_picture(tmp_path / "grey.jxl")
    assert picture.alpha[8, ::16].tolist() == [0, 64, 128, 191, 255, 255]
    assert picture.grey


def test_exif_does_not_turn_jpeg_xl_unless_it_holds_a_jpeg(tmp_path):
    pytest.importorskip("pillow_jxl")
    exif = Image.Exif()
    exif[0x0112] = 6
    side = np.ascontiguousarray(np.rot90(chart()))
    Image.fromarray(side).save(tmp_path / "a.jxl", lossless=True, exif=exif.tobytes())
    assert load_image(tmp_path / "a.jxl").shape == (3, *side.shape[:2])
    Image.fromarray(side).save(tmp_path / "b.jpg", quality=98, subsampling=0, exif=exif)
    Image.open(tmp_path / "b.jpg").save(tmp_path / "b.jxl", lossless_jpeg=True)
    error_of(tmp_path / "b.jxl", chart())
