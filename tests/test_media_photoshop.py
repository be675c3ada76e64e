"""Files of Photoshop: PSD and PSB of all depths, with and without transparency."""

import struct
import warnings

import numpy as np
import pytest
from kit.films import chart
from kit.pictures import gamma_profile
from PIL import Image, ImageCms

from josiecodec.errors import MediaError
from josiecodec.media.images import load_image, load_picture

GREY, RGB, CMYK, LAB = 1, 3, 4, 9
PLANES = chart().transpose(2, 0, 1).astype(np.float64) / 255
LIGHT = np.where(PLANES <= 0.04045, PLANES / 12.92, ((PLANES + 0.055) / 1.055) ** 2.4)
OPACITY = np.linspace(0.2, 1, 96)[None].repeat(64, 0)


def packed(row: bytes) -> bytes:
    """PackBits, all of it literal."""
    return b"".join(bytes([len(part) - 1]) + part for part in (row[n : n + 128] for n in range(0, len(row), 128)))


def photoshop(planes, mode, depth=8, large=False, rle=False, layers=0, resources=b"", block=b""):
    """A file of planes [C, H, W] in [0, 1]; without layers, or with as many as said (negative: with transparency)."""
    kind, scale = {8: (">u1", 255), 16: (">u2", 65535), 32: (">f4", 1)}[depth]
    stored = (planes if depth == 32 else np.rint(planes * scale)).astype(kind)
    long = ">Q" if large else ">I"
    info = struct.pack(">hxx", layers) if layers else b""
    section = struct.pack(long, len(info)) + info + bytes(4) + block if layers or block else b""
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1 + large, len(planes), *planes.shape[1:], depth, mode)
    head += bytes(4) + struct.pack(">I", len(resources)) + resources + struct.pack(long, len(section)) + section
    if not rle:
        return head + b"\0\0" + stored.tobytes()
    rows = [packed(row.tobytes()) for plane in stored for row in plane]
    sizes = struct.pack(f">{len(rows)}{'I' if large else 'H'}", *map(len, rows))
    return head + b"\0\1" + sizes + b"".join(rows)


def resource(number, data):
    return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + bytes(len(data) % 2)


def check(tmp_path, data, right=PLANES, limit=0.6, alpha=None):
    """Reads it without a warning; mean and largest errors in levels."""
    (tmp_path / "a.psd").write_bytes(data)
    with warnings.catch_warnings(action="error"):
        found = load_picture(tmp_path / "a.psd")
    assert np.abs(found.rgb.numpy() - right).mean() * 255 < limit
    assert (found.alpha is None) == (alpha is None)
    if alpha is not None:
        assert np.abs(found.alpha.numpy() - alpha * 255).max() <= 0.51


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("rle", [False, True])
@pytest.mark.parametrize("depth", [8, 16, 32])
def test_colors_and_greys(tmp_path, large, rle, depth):
    values = LIGHT if depth == 32 else PLANES
    check(tmp_path, photoshop(values, RGB, depth, large, rle), limit=0.02)
    grey = photoshop(values[1:2], GREY, depth, large, rle)
    check(tmp_path, grey, PLANES[1:2].repeat(3, 0), limit=0.02)
    assert load_picture(tmp_path / "a.psd").grey


@pytest.mark.parametrize("depth", [8, 16])
def test_cmyk_and_lab(tmp_path, depth):
    """CMYK is stored inverted."""
    check(tmp_path, photoshop(np.concatenate([PLANES, np.ones((1, 64, 96))]), CMYK, depth))
    to_lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(Image.fromarray(chart()), *to_lab, outputMode="LAB")
    planes = np.stack([np.asarray(lab.getchannel(n)) for n in range(3)]) / 255
    check(tmp_path, photoshop(planes, LAB, depth), limit=1.0)


def test_light_by_a_profile_and_beyond_white(tmp_path):
    data = photoshop(np.sqrt(LIGHT), RGB, 32, resources=resource(1039, gamma_profile(1, 2.0)))
    check(tmp_path, data, limit=0.7)
    (tmp_path / "b.psd").write_bytes(photoshop(np.full((3, 8, 8), 2.0), RGB, 32))
    with pytest.warns(UserWarning, match="values up to 2, what is above 1 is cut off"):
        assert load_image(tmp_path / "b.psd").min() == 1


@pytest.mark.parametrize("depth", [8, 16])
def test_transparency_is_stored_on_white(tmp_path, depth):
    """The first channel behind the colours is it if the number of layers is negative, or a block says so."""
    planes = np.concatenate([PLANES * OPACITY + 1 - OPACITY, OPACITY[None]])
    check(tmp_path, photoshop(planes, RGB, depth, layers=-1), limit=1.0, alpha=OPACITY)
    block = b"8BIMMt16" + bytes(4)
    check(tmp_path, photoshop(planes, RGB, depth, block=block), limit=1.0, alpha=OPACITY)
    check(tmp_path, photoshop(planes, RGB, depth, True, block=block + bytes(4)), limit=1.0, alpha=OPACITY)
    deep_layers = b"8BIMLr16" + struct.pack(">Ih2x", 4, -3)
    check(tmp_path, photoshop(planes, RGB, depth, block=deep_layers), limit=1.0, alpha=OPACITY)
    greys = planes[[1, 3]]
    check(tmp_path, photoshop(greys, GREY, depth, layers=-2), PLANES[1:2].repeat(3, 0), limit=1.0, alpha=OPACITY)


def test_a_stored_selection_is_no_transparency(tmp_path):
    (tmp_path / "a.psd").write_bytes(photoshop(np.concatenate([PLANES, OPACITY[None]]), RGB, layers=2))
    with pytest.warns(UserWarning, match="channels that are neither colours nor alpha are left out"):
        found = load_picture(tmp_path / "a.psd")
    assert found.alpha is None
    assert np.abs(found.rgb.numpy() - PLANES).max() < 1e-6


def test_what_cannot_be_read(tmp_path):
    for data, text in (
        (photoshop(PLANES, RGB, resources=resource(1057, bytes(4) + b"\0\0")), "without its merged picture"),
        (photoshop(PLANES, RGB)[:-9], "cut off"),
        (photoshop(PLANES, RGB, rle=True)[:400], "cut off|not enough"),
        (photoshop(PLANES, RGB, rle=True)[:1000], "cut off|not enough"),
        (photoshop(PLANES, 7), "of a kind that is not known"),
        (photoshop(PLANES[:2], RGB), "of a kind that is not known"),
    ):
        (tmp_path / "a.psd").write_bytes(data)
        with pytest.raises(MediaError, match=text):
            load_image(tmp_path / "a.psd")
    huge = bytearray(photoshop(PLANES, RGB, 32))
    huge[14:22] = struct.pack(">II", 16000, 16000)
    (tmp_path / "a.psd").write_bytes(huge)
    with pytest.raises(MediaError, match="cut off"):  # before memory is asked for
        load_image(tmp_path / "a.psd")


def test_what_has_no_pixels(tmp_path):
    (tmp_path / "a.psd").write_bytes(photoshop(np.zeros((3, 0, 8)), RGB))
    with pytest.raises(MediaError, match="no pixels in it"):
        load_image(tmp_path / "a.psd")
