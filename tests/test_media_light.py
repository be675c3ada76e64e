"""Pictures of linear light, and pictures that are refused by name."""

import struct
import warnings

import numpy as np
import pytest
from kit.colors import in_primaries
from kit.films import chart

from josiecodec.errors import MediaError
from josiecodec.media.images import load_image, load_picture
from josiecodec.media.kinds import kind_of

P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)


def light(values: np.ndarray) -> np.ndarray:
    """[0, 1] of sRGB as linear light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def exr(values: np.ndarray, names: str, *, half: bool = False, points=None, compression: int = 0) -> bytes:
    """An OpenEXR of [H, W, C], not packed."""
    height, width = values.shape[:2]
    kind = "<f2" if half else "<f4"

    def attribute(name, form, data):
        return name.encode() + b"\0" + form.encode() + b"\0" + struct.pack("<I", len(data)) + data

    order = sorted(range(len(names)), key=lambda n: names[n])
    channels = b"".join(names[n].encode() + b"\0" + struct.pack("<IB3xII", 1 if half else 2, 0, 1, 1) for n in order)
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = b"\x76\x2f\x31\x01\x02\0\0\0" + attribute("channels", "chlist", channels + b"\0")
    head += attribute("compression", "compression", bytes([compression]))
    head += b"" if points is None else attribute("chromaticities", "chromaticities", struct.pack("<8f", *points))
    head += attribute("dataWindow", "box2i", box) + attribute("displayWindow", "box2i", box)
    head += attribute("lineOrder", "lineOrder", b"\0") + attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    head += attribute("screenWindowCenter", "v2f", bytes(8))
    head += attribute("screenWindowWidth", "float", struct.pack("<f", 1)) + b"\0"
    rows = [b"".join(row[:, n].astype(kind).tobytes() for n in order) for row in values]
    lines = [struct.pack("<iI", y, len(row)) + row for y, row in enumerate(rows)]
    offsets = np.cumsum([len(head) + 8 * height, *map(len, lines[:-1])]).astype("<u8").tobytes()
    return head + offsets + b"".join(lines)


def check(path, data, right, limit=0.1):
    path.write_bytes(data)
    assert kind_of(path) == "image"
    with warnings.catch_warnings(action="error"):
        found = load_picture(path)
    assert np.abs(found.rgb.permute(1, 2, 0).numpy() * 255 - right).mean() < limit
    return found


@pytest.mark.parametrize("half", [False, True])
def test_openexr(tmp_path, half):
    linear, path = light(chart() / 255), tmp_path / "a.exr"
    check(path, exr(linear, "RGB", half=half), chart())
    grey = check(path, exr(linear[..., 1:2], "Y", half=half), chart()[..., 1:2].repeat(3, 2))
    assert grey.grey
    opacity = np.full((64, 96, 1), 0.5)
    found = check(path, exr(np.concatenate([linear / 2, opacity], 2), "RGBA", half=half), chart())
    assert found.alpha is not None
    assert set(np.unique(found.alpha)) == {128}


def test_primaries_of_openexr(tmp_path):
    linear = light(in_primaries(chart(), 12) / 65535)
    check(tmp_path / "a.exr", exr(linear, "RGB", points=P3), chart())
    check(tmp_path / "a.exr", exr(light(chart() / 255), "RGB", points=(0.3,) * 8), chart())


def test_light_beyond_white(tmp_path):
    (tmp_path / "a.exr").write_bytes(exr(np.full((8, 8, 3), 4.0), "RGB"))
    with pytest.warns(UserWarning, match="values up to 4, what is above 1 is cut off"):
        assert load_image(tmp_path / "a.exr").min() == 1


def test_lossy_openexr_is_refused(tmp_path):
    """FFmpeg gives zeros for some of its channels."""
    (tmp_path / "a.exr").write_bytes(exr(light(chart() / 255), "RGB", compression=8))
    with pytest.raises(MediaError, match="compression DWA"):
        load_image(tmp_path / "a.exr")
    data = exr(light(chart() / 255), "RGB")
    strange = data.replace(b"\0chlist\0", b"\0chlost\0")
    for damaged in (data[:2000], data[:100], strange, data.replace(b"dataWindow", b"dataWandow")):
        (tmp_path / "a.exr").write_bytes(damaged)
        with pytest.raises(MediaError, match="not an image that can be read"):
            load_image(tmp_path / "a.exr")


def test_radiance(tmp_path):
    linear = light(chart() / 255)
    top = linear.max(-1)
    share, exponent = np.frexp(top)
    mantissa = np.floor(linear * (share * 256 / np.maximum(top, 1e-9))[..., None])
    rgbe = np.concatenate([mantissa, np.where(top > 0, exponent + 128, 0)[..., None]], -1).astype(np.uint8)
    data = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 64 +X 96\n" + rgbe.tobytes()
    check(tmp_path / "a.hdr", data, chart(), 0.5)


JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
REFUSED = {
    "12.jpg": (JPEG + b"\xff\xc1\0\x11\x0c\0\x40\0\x60\3" + bytes(60), "a JPEG of 12 bits"),
    "16.jpg": (JPEG + b"\xff\xc3\0\x11\x10\0\x40\0\x60\3" + bytes(60), "a lossless JPEG of 16 bits"),
    "a.jls": (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x40\0\x60\1\1\x11\0" + bytes(50), "JPEG-LS"),
    "a.fits": (b"SIMPLE  =                    T" + b" " * 3000, "FITS"),
    "a.svg": (b"<?xml version='1.0'?>\n<!-- a -->\n<svg xmlns='x' width='10'></svg>", "a drawing without pixels"),
    "a.pdf": (b"%PDF-1.7\n" + bytes(100), "PDF"),
    "a.dcm": (bytes(128) + b"DICM" + bytes(100), "DICOM"),
    "a.raf": (b"FUJIFILMCCD-RAW 0201" + bytes(300), "a raw file of a camera"),
    "a.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(300), "a raw file of a camera"),
    "a.jxr": (b"II\xbc\1" + bytes(200), "JPEG XR"),
    "without_suffix": (b"gimp xcf v011\0" + bytes(100), "a file of GIMP"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pictures_that_are_refused_by_name(tmp_path, name):
    data, text = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    assert kind_of(tmp_path / name) == "image"
    with pytest.raises(MediaError, match=text):
        load_image(tmp_path / name)


def windowed(data: bytes, window: tuple[int, ...], display: tuple[int, ...]) -> bytes:
    """An OpenEXR of `exr` whose pixels lie elsewhere."""
    values = struct.pack("<4i", *window)
    for name, box in ((b"dataWindow", values), (b"displayWindow", struct.pack("<4i", *display))):
        at = data.index(name + b"\0box2i\0") + len(name) + 11
        data = data[:at] + box + data[at + 16 :]
    start = data.index(b"screenWindowWidth")
    first = data.index(bytes(4) + struct.pack("<I", 96 * 12), start)
    lines = bytearray(data)
    for row in range(64):
        at = first + row * (8 + 96 * 12)
        lines[at : at + 4] = struct.pack("<i", row + window[1])
    return bytes(lines)


@pytest.mark.parametrize(("left", "top"), [(10, 20), (-20, -8), (0, 0)])
def test_openexr_that_fills_a_part_of_its_window(tmp_path, left, top):
    right = np.zeros((120, 140, 3))
    x, y = max(left, 0), max(top, 0)
    right[y : top + 64, x : left + 96] = chart()[y - top :, x - left :]
    data = windowed(exr(light(chart() / 255), "RGB"), (left, top, left + 95, top + 63), (0, 0, 139, 119))
    check(tmp_path / "a.exr", data, right)
    (tmp_path / "a.exr").write_bytes(data[:-2000])
    with pytest.raises(MediaError, match="cut off"):
        load_image(tmp_path / "a.exr")


def test_openexr_whose_window_begins_elsewhere(tmp_path):
    window = (10, 20, 105, 83)
    check(tmp_path / "a.exr", windowed(exr(light(chart() / 255), "RGB"), window, window), chart())
    (tmp_path / "a.exr").write_bytes(windowed(exr(light(chart() / 255), "RGB"), window, (-10, 0, 105, 83)))
    with pytest.raises(MediaError, match="display window begins before"):
        load_image(tmp_path / "a.exr")


def tiled(values: np.ndarray, side: int) -> bytes:
    """An OpenEXR of [H, W, 3] in tiles."""
    data = exr(values, "RGB")
    height, width = values.shape[:2]
    at = data.index(b"lineOrder")
    tiles = b"tiles\0tiledesc\0" + struct.pack("<I2IB", 9, side, side, 0)
    end = data.index(b"screenWindowWidth") + 17 + 1 + 6 + 4 + 4 + 1
    head = data[:4] + b"\2\2\0\0" + data[8:at] + data[at:end][:-1] + tiles + b"\0"
    parts = []
    for y in range(0, height, side):
        for x in range(0, width, side):
            rows = values[y : y + side, x : x + side, ::-1].astype("<f4")
            body = b"".join(row[:, n].tobytes() for row in rows for n in range(3))
            parts.append(struct.pack("<4iI", x // side, y // side, 0, 0, len(body)) + body)
    places = np.cumsum([len(head) + 8 * len(parts), *map(len, parts[:-1])]).astype("<u8").tobytes()
    return head + places + b"".join(parts)


def test_openexr_in_tiles(tmp_path):
    data = tiled(light(chart() / 255), 20)
    check(tmp_path / "a.exr", data, chart())
    for damaged in (data[:-1], data[: len(data) // 2]):
        (tmp_path / "a.exr").write_bytes(damaged)
        with pytest.raises(MediaError, match="cut off"):
            load_image(tmp_path / "a.exr")


def test_channels_of_openexr(tmp_path):
    linear, path = light(chart() / 255), tmp_path / "a.exr"
    check(path, exr(np.concatenate([linear, linear[..., :1] * 9], 2), "RGBZ"), chart())
    grey = check(path, exr(np.stack([linear[..., 1] / 2, np.full((64, 96), 0.5)], 2), "YA"), chart()[..., 1:2])
    assert grey.grey
    assert set(np.unique(grey.alpha)) == {128}
    path.write_bytes(exr(linear[..., :1], "Z"))
    with pytest.raises(MediaError, match="channels that FFmpeg does not know"):
        load_image(path)


def test_a_long_header_of_openexr(tmp_path):
    """Its compression is further on than other kinds of pictures are known by."""
    data = exr(light(chart() / 255), "RGB", compression=8)
    at = data.index(b"channels\0")
    note = b"a note\0string\0" + struct.pack("<I", 9000) + b" " * 9000
    (tmp_path / "a.exr").write_bytes(data[:at] + note + data[at:])
    with pytest.raises(MediaError, match="compression DWA"):
        load_image(tmp_path / "a.exr")


def rgbe(linear: np.ndarray) -> bytes:
    top = linear.max(-1)
    share, exponent = np.frexp(top)
    mantissa = np.floor(linear * (share * 256 / np.maximum(top, 1e-9))[..., None])
    return np.concatenate([mantissa, np.where(top > 0, exponent + 128, 0)[..., None]], -1).astype(np.uint8).tobytes()


def test_kinds_of_radiance(tmp_path):
    linear, path = light(chart() / 255), tmp_path / "a.hdr"
    form = b"FORMAT=32-bit_rle_rgbe\n"
    check(path, b"#?RGBE\n" + form + b"\n-Y 64 +X 96\n" + rgbe(linear), chart(), 0.5)
    check(path, b"#?RADIANCE\n" + form + b"\n+Y 64 +X 96\n" + rgbe(linear[::-1]), chart(), 0.5)
    check(path, b"#?RADIANCE\n" + form + b"\n-Y 64 -X 96\n" + rgbe(linear[:, ::-1]), chart(), 0.5)
    wide = light(in_primaries(chart(), 12) / 65535)
    primaries = b"PRIMARIES=" + " ".join(map(str, P3)).encode() + b"\n"
    check(path, b"#?RADIANCE\n" + primaries + form + b"\n-Y 64 +X 96\n" + rgbe(wide), chart(), 0.6)
    for text in (
        b"FORMAT=32-bit_rle_xyze\n\n-Y 64 +X 96\n",
        form + b"\n+X 96 -Y 64\n",
        form + b"\n-Y 60000 +X 60000\n",
    ):
        path.write_bytes(b"#?RADIANCE\n" + text + rgbe(linear))
        with pytest.raises(MediaError, match="not an image that can be read"):
            load_image(path)
