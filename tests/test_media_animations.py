"""Animated PNG and GIF: what becomes of a frame before the next one, and how transparent ones lie over others."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from josiecodec.errors import MediaError
from josiecodec.media.video_animation import animation_frames

SIDE = 12
KEEP, CLEAR, BACK = 0, 1, 2
SOURCE, OVER = 0, 1
RNG = np.random.default_rng(3)
COLORS = RNG.integers(0, 256, (256, 3)).astype(np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore:.*transparency is put on white")


def pixels(size: int, alphas: tuple[int, ...]) -> np.ndarray:
    """uint8 [size, size, 4]."""
    colors = RNG.integers(0, 256, (size, size, 3))
    return np.dstack([colors, RNG.choice(alphas, (size, size))]).astype(np.uint8)


def shown(frames) -> list[np.ndarray]:
    """What is to be seen, on white, of (RGBA in [0, 1], left, top, dispose, blend)."""
    canvas, found = np.zeros((SIDE, SIDE, 4)), []
    for number, (picture, left, top, dispose, blend) in enumerate(frames):
        place = slice(top, top + picture.shape[0]), slice(left, left + picture.shape[1])
        before, above = canvas.copy(), picture / 255.0
        below = canvas[place]
        alpha = above[..., 3:] + below[..., 3:] * (1 - above[..., 3:])
        mixed = above[..., :3] * above[..., 3:] + below[..., :3] * below[..., 3:] * (1 - above[..., 3:])
        over = np.dstack([np.divide(mixed, alpha, where=alpha > 0, out=np.zeros_like(mixed)), alpha])
        canvas[place] = over if blend == OVER else above
        found.append(255 * (canvas[..., :3] * canvas[..., 3:] + 1 - canvas[..., 3:]))
        if dispose == CLEAR or (dispose == BACK and not number):
            canvas[place] = 0
        elif dispose == BACK:
            canvas = before
    return found


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def apng(frames, default: np.ndarray | None = None) -> bytes:
    def packed(picture):
        return zlib.compress(b"".join(b"\0" + row.tobytes() for row in picture))

    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 6, 0, 0, 0))
    out += chunk(b"acTL", struct.pack(">II", len(frames), 0))
    out += b"" if default is None else chunk(b"IDAT", packed(default))
    count = 0
    for number, (picture, left, top, dispose, blend) in enumerate(frames):
        height, width = picture.shape[:2]
        out += chunk(b"fcTL", struct.pack(">IIIIIHHBB", count, width, height, left, top, 1, 20, dispose, blend))
        count += 1
        if not number and default is None:
            out += chunk(b"IDAT", packed(picture))
            continue
        data = packed(picture)
        for part in (data[:50], data[50:]):
            out += chunk(b"fdAT", struct.pack(">I", count) + part)
            count += 1
    return out + chunk(b"IEND", b"")


def check(path, right, limit=1.5):
    found = list(animation_frames(path))
    assert len(found) == len(right)
    assert [duration for _, duration, _ in found] == pytest.approx([0.05] * len(right))
    for (_, _, picture), wanted in zip(found, right, strict=True):
        assert np.abs(picture - wanted).max() < limit


HALF, FULL = (0, 100, 128, 255), (255,)


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("how", [(KEEP, OVER), (CLEAR, OVER), (BACK, OVER), (BACK, SOURCE), (CLEAR, SOURCE)])
@pytest.mark.parametrize("first", [FULL, HALF])
def test_png(tmp_path, default, how, first):
    """With a picture for programs that know no animations, which is none of the frames, and without."""
    frames = [(pixels(SIDE, first), 0, 0, how[0], SOURCE), (pixels(6, HALF), 2, 3, *how), (pixels(5, HALF), 0, 6, *how)]
    frames += [(pixels(8, HALF), 1, 1, *how), (pixels(3, FULL), 7, 7, *how), (pixels(4, HALF), 6, 6, *how)]
    (tmp_path / "a.png").write_bytes(apng(frames, pixels(SIDE, FULL) if default else None))
    check(tmp_path / "a.png", shown(frames))


def test_png_of_other_kinds(tmp_path):
    grey = [Image.fromarray(RNG.integers(0, 256, (9, 11)).astype(np.uint8)) for _ in range(3)]
    for mode in ("L", "P", "RGB", "LA"):
        made = [picture.convert(mode) for picture in grey]
        made[0].save(tmp_path / "a.png", save_all=True, append_images=made[1:], duration=50)
        check(tmp_path / "a.png", [np.repeat(np.asarray(picture)[..., None], 3, 2) for picture in grey])


def test_a_frame_of_png_that_lies_outside(tmp_path):
    (tmp_path / "a.png").write_bytes(apng([(pixels(SIDE, FULL), 0, 0, 0, 0), (pixels(6, FULL), 9, 9, 0, 0)]))
    with pytest.raises(MediaError, match="not an image that can be read"):
        list(animation_frames(tmp_path / "a.png"))


def coded(indexes: np.ndarray) -> bytes:
    """Indexes as the LZW of GIF with nine bits each: the table is cleared before it grows."""
    codes = [code for n, index in enumerate(indexes.ravel().tolist()) for code in ([256] * (n % 200 == 0) + [index])]
    number = sum(code << (9 * n) for n, code in enumerate([*codes, 257]))
    data = number.to_bytes((9 * (len(codes) + 1) + 7) // 8, "little")
    blocks = [data[n : n + 255] for n in range(0, len(data), 255)]
    return b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


@pytest.mark.parametrize("dispose", [KEEP, CLEAR, BACK])
@pytest.mark.parametrize("opaque", [True, False])
def test_gif(tmp_path, dispose, opaque):
    out, frames = b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0xF7, 5, 0) + COLORS.tobytes(), []
    for number, (size, left, top) in enumerate(((SIDE, 0, 0), (6, 2, 3), (5, 0, 6), (8, 1, 1), (4, 6, 6))):
        index = RNG.integers(0, 6, (size, size))
        whole = opaque and not number
        how = KEEP if whole else dispose
        flags = {KEEP: 1, CLEAR: 2, BACK: 3}[how] << 2 | (not whole)
        out += b"\x21\xf9\x04" + struct.pack("<BHBx", flags, 5, 3) + b"\x2c"
        own = COLORS[::-1] if number == 3 else None  # a palette of its own
        out += struct.pack("<4HB", left, top, size, size, 0x87 if own is not None else 0)
        out += (b"" if own is None else own.tobytes()) + coded(index)
        colors = (COLORS if own is None else own)[index]
        alpha = np.where((index == 3) & (not whole), 0, 255)[..., None]
        frames.append((np.concatenate([colors, alpha], -1), left, top, how, OVER))
    right = shown(frames)
    if dispose == BACK and not opaque:  # there is nothing before the first to go back to but nothing
        assert (right[1] != right[0]).any()
    (tmp_path / "a.gif").write_bytes(out + b";")
    check(tmp_path / "a.gif", right)
