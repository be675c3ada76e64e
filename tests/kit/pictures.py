"""Picture files of many kinds, each of the chart."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from kit import jxl
from kit.colors import hlg, in_primaries, pq
from kit.films import chart
from kit.tiffs import GREY, write_tiff


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


def _linear() -> np.ndarray:
    """uint16: the chart in linear light."""
    return _light(chart() / 255)


def _light(value: np.ndarray) -> np.ndarray:
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.rint(light * 65535).astype(np.uint16)


def _deep() -> np.ndarray:
    return chart().astype(np.uint16) * 257


def _linear_p3() -> np.ndarray:
    return _light(in_primaries(chart(), 12) / 65535)


def png16(pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16 bits with chunks of one's own before the pixels [H, W, 3]."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def gamma_profile(primaries: int, gamma: float) -> bytes:
    """A small ICC profile of some primaries with a power as its curve."""
    base = bytearray(profile(primaries))
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    for n in range(int.from_bytes(base[128:132], "big")):
        entry = 132 + 12 * n
        if bytes(base[entry : entry + 4]) in (b"rTRC", b"gTRC", b"bTRC"):
            base[entry + 4 : entry + 12] = struct.pack(">II", len(base), len(curve))
    base += curve
    base[:4] = struct.pack(">I", len(base))
    return bytes(base)


def photoshop16(pixels: np.ndarray, icc: bytes = b"") -> bytes:
    """A file of Photoshop of 16 bits, [H, W] or [H, W, 3], without layers."""
    channels = 1 if pixels.ndim == 2 else 3
    mode = 1 if channels == 1 else 3
    planes = pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1).astype(">u2").tobytes()
    resource = b"8BIM" + struct.pack(">HHI", 1039, 0, len(icc)) + icc + bytes(len(icc) % 2) if icc else b""
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, *pixels.shape[:2], 16, mode)
    return head + bytes(4) + struct.pack(">I", len(resource)) + resource + bytes(4) + bytes(2) + planes


def hdr_heic(pixels: np.ndarray, transfer: int) -> bytes:
    """A HEIC of 10 bits, of BT.2020 and a transfer function by H.273."""
    import pillow_heif

    tags = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9, "full_range_flag": 1}
    image, out = pillow_heif.from_bytes("RGB;16", (pixels.shape[1], pixels.shape[0]), pixels.tobytes()), io.BytesIO()
    image.save(out, quality=98, chroma=444, **tags)
    return out.getvalue()


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
    "linear16.png": _written("linear16.png", lambda: png16(_linear(), (b"gAMA", struct.pack(">I", 100000)))),
    "pq16.png": _written("pq16.png", lambda: png16(pq(chart()), (b"cICP", bytes([9, 16, 0, 1])))),
    "hlg16.png": _written("hlg16.png", lambda: png16(hlg(chart()), (b"cICP", bytes([9, 18, 0, 1])))),
    "linear_p3_16.png": _written(
        "linear_p3_16.png", lambda: png16(_linear_p3(), (b"iCCP", b"p3\0\0" + zlib.compress(gamma_profile(12, 1.0))))
    ),
    "photoshop16.psd": _written("photoshop16.psd", lambda: photoshop16(in_primaries(chart(), 12), profile(12))),
    "grey_photoshop16.psd": _written("grey_photoshop16.psd", lambda: photoshop16(_deep()[..., 1])),
    "12_bits_in_16.tif": lambda f: write_tiff(f / "a.tif", chart().astype(np.uint16) * 16, more=[(281, 4080)]),
    "infrared16.tif": lambda f: write_tiff(f / "a.tif", np.dstack([_deep(), _deep()[..., :1]]), more=[(338, 0)]),
    "grey_alpha16.tif": lambda f: write_tiff(
        f / "a.tif", np.dstack([_deep()[..., 1], np.full((64, 96), 65535, np.uint16)]), GREY, more=[(338, 2)]
    ),
    "pq.jxl": _written("pq.jxl", lambda: jxl.PQ),
    "pq.heic": _written("pq.heic", lambda: hdr_heic(pq(chart()), 16)),
    "hlg.heic": _written("hlg.heic", lambda: hdr_heic(hlg(chart()), 18)),
}
