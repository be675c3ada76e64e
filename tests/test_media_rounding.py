"""Pictures of more than eight bits are rounded to the nearest, never cut down."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from kit.tiffs import GREY, RGB, write_tiff

from josiecodec.media.images import load_picture

VALUES = np.random.default_rng(0).integers(0, 65536, (24, 40))
COLORS = np.stack([VALUES, VALUES // 2, VALUES // 3], -1)
OPACITY = 65535 - VALUES[..., None]


def write_png(path, values: np.ndarray, kind: int, hidden: tuple[int, ...] = ()):
    """A PNG of 16 bits; `kind` as in its header, `hidden` the colour that is transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    data += chunk(b"tRNS", np.array(hidden, ">u2").tobytes()) if hidden else b""
    path.write_bytes(data + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))
    return path


def off(found, right: np.ndarray) -> float:
    """How far eight bits of a picture are from values of 16 bits, rounded."""
    pixels = np.rint(found.rgb.numpy() * 255).transpose(1, 2, 0)
    return float(np.abs(pixels - np.rint(right / 257)).max())


@pytest.mark.parametrize(("kind", "values"), [(0, VALUES[..., None]), (2, COLORS)])
def test_png(tmp_path, kind, values):
    found = load_picture(write_png(tmp_path / "a.png", values, kind))
    assert (off(found, values), found.alpha, found.grey) == (0, None, kind == 0)


@pytest.mark.parametrize(("kind", "values"), [(4, VALUES[..., None]), (6, COLORS)])
def test_png_with_alpha(tmp_path, kind, values):
    found = load_picture(write_png(tmp_path / "a.png", np.concatenate([values, OPACITY], -1), kind))
    assert (off(found, values), found.grey) == (0, kind == 4)
    np.testing.assert_array_equal(found.alpha.numpy(), np.rint(OPACITY[..., 0] / 257))


@pytest.mark.parametrize(("kind", "values"), [(0, VALUES[..., None]), (2, COLORS)])
def test_png_with_a_transparent_color(tmp_path, kind, values):
    found = load_picture(write_png(tmp_path / "a.png", values, kind, tuple(values[3, 4].tolist())))
    assert off(found, values) == 0
    np.testing.assert_array_equal(found.alpha.numpy() == 0, (values == values[3, 4]).all(-1))


@pytest.mark.parametrize("values", [VALUES[..., None], COLORS, np.concatenate([COLORS, OPACITY], -1)])
def test_tiff(tmp_path, values):
    more = [(338, 2)] if values.shape[2] == 4 else []
    found = load_picture(
        write_tiff(tmp_path / "a.tif", values.astype(np.uint16), GREY if values.shape[2] == 1 else RGB, more=more)
    )
    assert off(found, values[..., :3]) == 0
    if more:
        np.testing.assert_array_equal(found.alpha.numpy(), np.rint(OPACITY[..., 0] / 257))
