"""Picture files of many kinds, each of the chart."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from kit.colors import in_primaries
from kit.films import chart


def tiff(pixels: bytes, size: tuple[int, int], bits: int, form: int, photometric: int = 1) -> bytes:
    """A TIFF with one channel, as its tags say."""
    height, width = size
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 0)]
    tags += [(277, 3, 1), (278, 4, height), (279, 4, len(pixels)), (339, 3, form)]
    start = 8 + 2 + 12 * len(tags) + 4
    out = b"II*\0" + struct.pack("<IH", 8, len(tags))
    for number, kind, value in tags:
        out += struct.pack("<HHI", number, kind, 1) + struct.pack("<I", start if number == 273 else value)
    return out + bytes(4) + pixels


def grey_chart() -> np.ndarray:
    """float [64, 96] in [0, 1]."""
    return chart()[..., 1] / 255


def packed_12(values: np.ndarray) -> bytes:
    """Two values of 12 bits in three bytes."""
    pairs = values.reshape(-1, 2).astype(int)
    three = [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255]
    return np.stack(three, 1).astype(np.uint8).tobytes()


def profile(primaries: int) -> bytes:
    """A small ICC profile: some primaries with the transfer function of sRGB."""
    base = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    from kit.colors import _matrix

    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d65, d50 = np.array([0.3127 / 0.329, 1, 0.3583 / 0.329]), np.array([0.9642, 1.0, 0.8249])
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ d65)) @ bradford
    columns = (adapt @ _matrix(primaries)).T
    for n in range(int.from_bytes(base[128:132], "big")):
        entry = 132 + 12 * n
        name, place = bytes(base[entry : entry + 4]), int.from_bytes(base[entry + 4 : entry + 8], "big")
        if name in (b"rXYZ", b"gXYZ", b"bXYZ"):
            values = np.rint(columns[(b"rXYZ", b"gXYZ", b"bXYZ").index(name)] * 65536).astype(int)
            base[place + 8 : place + 20] = struct.pack(">3i", *values.tolist())
    return bytes(base)


def _eight(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(picture / 257).astype(np.uint8))


def _saved(name: str, image: Callable[[], Image.Image], **options: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        image().save(folder / name, **options)
        return folder / name

    return make


def _written(name: str, data: Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data())
        return folder / name

    return make


def _tiff(name: str, kind: str, scale: float, bits: int, form: int, photometric: int = 1) -> Callable[[Path], Path]:
    def data() -> bytes:
        values = grey_chart() if photometric else 1 - grey_chart()
        values = np.rint(values * scale) if form != 3 else values * scale
        pixels = packed_12(values) if bits == 12 else values.astype(kind).tobytes()
        return tiff(pixels, (64, 96), bits, form, photometric)

    return _written(name, data)


def _turned() -> bytes:
    image, out = Image.fromarray(np.ascontiguousarray(np.rot90(chart()))), io.BytesIO()
    exif = image.getexif()
    exif[274] = 6
    image.save(out, "PNG", exif=exif)
    return out.getvalue()


def _palette() -> Image.Image:
    return Image.fromarray(chart()).quantize(64)


def _p3() -> Image.Image:
    return _eight(in_primaries(chart(), 12))


def _rgb() -> Image.Image:
    return Image.fromarray(chart())


# name -> maker; names with "grey" hold the green channel alone
PICTURES: dict[str, Callable[[Path], Path]] = {
    "plain.png": _saved("plain.png", _rgb),
    "plain.jpg": _saved("plain.jpg", _rgb, quality=98, subsampling=0),
    "windows.jfif": _saved("windows.jfif", _rgb, quality=98, subsampling=0, format="JPEG"),
    "plain.jpe": _saved("plain.jpe", _rgb, quality=98, subsampling=0),
    "lossless.webp": _saved("lossless.webp", _rgb, lossless=True),
    "plain.tga": _saved("plain.tga", _rgb),
    "plain.j2k": _saved("plain.j2k", _rgb),
    "named.dat": _saved("named.dat", _rgb, format="PNG"),
    "turned.png": _written("turned.png", _turned),
    "palette.png": _saved("palette.png", _palette),
    "display_p3.png": lambda folder: _saved("display_p3.png", _p3, icc_profile=profile(12))(folder),
    "display_p3.jpg": lambda f: _saved("display_p3.jpg", _p3, icc_profile=profile(12), quality=98, subsampling=0)(f),
    "display_p3.avif": lambda f: _saved(
        "display_p3.avif", _p3, icc_profile=profile(12), quality=98, subsampling="4:4:4"
    )(f),
    "grey16.png": _saved("grey16.png", lambda: Image.fromarray(np.rint(grey_chart() * 65535).astype(np.uint16))),
    "grey_16.tif": _tiff("grey_16.tif", "<u2", 65535, 16, 1),
    "grey_16_white_is_zero.tif": _tiff("grey_16_white_is_zero.tif", "<u2", 65535, 16, 1, 0),
    "grey_12.tif": _tiff("grey_12.tif", "<u2", 4095, 12, 1),
    "grey_int16.tif": _tiff("grey_int16.tif", "<i2", 32767, 16, 2),
    "grey_int32.tif": _tiff("grey_int32.tif", "<i4", 2147483647, 32, 2),
    "grey_uint32.tif": _tiff("grey_uint32.tif", "<u4", 4294967295, 32, 1),
    "grey_float.tif": _tiff("grey_float.tif", "<f4", 1.0, 32, 3),
    "grey_float_255.tif": _tiff("grey_float_255.tif", "<f4", 255.0, 32, 3),
}
