"""Pictures and films whose file says by small marks what it is: PNG's chunks, EXIF of cameras, raw files, indexes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from kit.colors import _matrix, in_primaries, linear, pq
from kit.films import chart, film, patch_means
from PIL import Image, TiffImagePlugin

from josiecodec.errors import MediaError
from josiecodec.media.audio_reader import load_audio
from josiecodec.media.images import load_image
from josiecodec.media.kinds import kind_of
from josiecodec.media.video_reader import load_video


def png(path: Path, pixels: np.ndarray, chunks: dict[bytes, bytes]) -> Path:
    """Write uint16 [H, W, 3] as a PNG of 16 bits with these chunks."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks.items(), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    whole = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))
    return path


def error_of(path: Path, wanted: np.ndarray | None = None) -> float:
    """Mean difference from the chart, in levels."""
    found = 255 * load_image(path).permute(1, 2, 0).numpy()
    return float(np.abs(patch_means(found) - patch_means(chart() if wanted is None else wanted)).mean())


P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


@pytest.mark.parametrize(
    ("pixels", "chunks", "limit"),
    [
        (in_primaries(chart(), 12), {b"cICP": bytes([12, 13, 0, 1])}, 0.3),
        (pq(chart()), {b"cICP": bytes([9, 16, 0, 1])}, 1.5),
        (pq(chart()), {b"cICP": bytes([9, 16, 0, 1]), b"gAMA": struct.pack(">I", 45455)}, 1.5),
        (in_primaries(chart(), 12), {b"cHRM": P3, b"gAMA": struct.pack(">I", 45455)}, 0.3),
        (65535 * linear(chart()) ** (1 / 1.8), {b"gAMA": struct.pack(">I", 55556)}, 0.3),
        (257.0 * chart(), {b"sRGB": b"\0", b"gAMA": struct.pack(">I", 100000)}, 0.01),
        (257.0 * chart(), {b"gAMA": struct.pack(">I", 45455)}, 0.01),
        (257.0 * chart(), {b"gAMA": struct.pack(">I", 0), b"cHRM": bytes(32)}, 0.01),
    ],
)
def test_colors_by_the_chunks_of_a_png(tmp_path, pixels, chunks, limit):
    assert error_of(png(tmp_path / "a.png", np.rint(pixels).astype(np.uint16), chunks)) < limit


def test_adobe_rgb_by_the_mark_of_a_camera(tmp_path):
    """Cameras write no profile, only the file name _DSC... and this index (DCF 2.0)."""
    points = np.array([[0.64, 0.33, 0.03], [0.21, 0.71, 0.08], [0.15, 0.06, 0.79]]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    adobe = points / points[1] * np.linalg.solve(points / points[1], white)
    light = np.clip(linear(chart()) @ (np.linalg.inv(adobe) @ _matrix(1)).T, 0, 1)
    picture = Image.fromarray(np.rint(255 * light ** (256 / 563)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}}
    picture.save(tmp_path / "_DSC1.jpg", quality=98, subsampling=0, exif=exif)
    assert error_of(tmp_path / "_DSC1.jpg") < 1
    exif[0x8769] = {0xA001: 1, 0xA005: {1: "R98"}}
    Image.fromarray(chart()).save(tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
    assert error_of(tmp_path / "a.jpg") < 1


@pytest.mark.parametrize("tags", [{0xC612: bytes([1, 4, 0, 0])}, {0x00FE: 1, 0x014A: 8}])
def test_raw_files_are_not_taken_for_their_previews(tmp_path, tags):
    about = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        about.tagtype[tag] = 1 if isinstance(value, bytes) else 4
        about[tag] = value
    Image.fromarray(chart()).save(tmp_path / "a.dng", "TIFF", tiffinfo=about)
    with pytest.raises(MediaError, match="raw file of a camera"):
        load_image(tmp_path / "a.dng")
    Image.fromarray(chart()).save(tmp_path / "a.tif", "TIFF")
    assert error_of(tmp_path / "a.tif") < 0.01


def tiff(path: Path, planes: np.ndarray, photometric: int, separate: bool, palette: np.ndarray | None = None) -> Path:
    """Write [C, H, W] as an uncompressed little-endian TIFF, interleaved or in separate planes."""
    count, height, width = planes.shape
    bits, data = (
        8 * planes.itemsize,
        [p.tobytes() for p in planes] if separate else [planes.transpose(1, 2, 0).tobytes()],
    )
    place, values = 8 + sum(map(len, data)), np.cumsum([8, *map(len, data)])[:-1]
    tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * count), (259, 3, [1]), (262, 3, [photometric])]
    tags += [(273, 4, values), (277, 3, [count]), (278, 4, [height]), (279, 4, list(map(len, data)))]
    tags += [(284, 3, [2 if separate else 1])] + ([] if palette is None else [(320, 3, palette.T.ravel())])
    entries, extra = b"", b""
    for tag, kind, numbers in tags:
        packed = struct.pack("<" + {3: "H", 4: "I"}[kind] * len(numbers), *map(int, numbers))
        if len(packed) > 4:
            offset = place + len(extra)
            extra, packed = extra + packed, struct.pack("<I", offset)
        entries += struct.pack("<HHI", tag, kind, len(numbers)) + packed.ljust(4, b"\0")
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", place + len(extra)) + b"".join(data) + extra + directory)
    return path


def test_tiffs_of_sixteen_bits_in_planes_and_in_cmyk(tmp_path):
    deep = chart().transpose(2, 0, 1).astype(np.uint16) * 257
    assert error_of(tiff(tmp_path / "a.tif", deep, 2, separate=False)) < 0.01
    assert error_of(tiff(tmp_path / "b.tif", deep, 2, separate=True)) < 0.01
    inks = np.concatenate([65535 - deep, 0 * deep[:1]])
    assert error_of(tiff(tmp_path / "c.tif", inks, 5, separate=False)) < 0.01


def test_palettes_of_eight_bits(tmp_path):
    """The standard has 16 bits, some programs write eight: libtiff reads both."""
    colors, numbers = np.unique(chart().reshape(-1, 3), axis=0, return_inverse=True)
    palette = np.concatenate([colors, np.zeros((256 - len(colors), 3), int)])
    picture = numbers.reshape(1, *chart().shape[:2]).astype(np.uint8)
    for scale in (1, 257):
        assert error_of(tiff(tmp_path / "a.tif", picture, 3, False, palette * scale)) < 0.01


def test_a_file_that_was_cut_off_before_its_index_says_so(tmp_path):
    film(tmp_path / "a.mp4")
    data = (tmp_path / "a.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.rindex(b"moov") - 4])
    for read in (load_video, load_audio, kind_of):
        with pytest.raises(MediaError, match=r"index \(moov\) is missing"):
            read(cut)
    cut.write_bytes(data[: data.rindex(b"moov") + 40])
    with pytest.raises(MediaError, match=r"index \(moov\) is missing"):
        load_video(cut)
    cut.write_bytes(b"something else")
    with pytest.raises(MediaError, match="not a media file"):
        load_video(cut)
    with av.open(str(tmp_path / "a.mp4")) as whole:
        assert whole.streams.video


def test_photos_of_phones_with_a_gain_map(tmp_path):
    photo, other = Image.fromarray(chart()), Image.fromarray(chart()[::2, ::2])
    about = b'<x:xmpmeta xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>'
    photo.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[other], quality=97, subsampling=0, xmp=about)
    with pytest.warns(UserWarning, match="without the gain map"):
        assert error_of(tmp_path / "a.jpg") < 1
    photo.save(tmp_path / "b.jpg", "MPO", save_all=True, append_images=[other], quality=97, subsampling=0)
    with pytest.warns(UserWarning, match="the first of 2 pictures"):
        load_image(tmp_path / "b.jpg")


def test_a_gain_map_without_xmp(tmp_path):
    """ISO 21496-1 marks it in a segment of its own."""
    Image.fromarray(chart()).save(tmp_path / "a.jpg", quality=97, subsampling=0)
    data, mark = (tmp_path / "a.jpg").read_bytes(), b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe2" + struct.pack(">H", len(mark) + 2) + mark + data[2:] + data)
    with pytest.warns(UserWarning, match="without the gain map"):
        assert error_of(tmp_path / "a.jpg") < 1


def test_a_row_of_jpegs_is_a_film_by_its_suffix(tmp_path):
    film(tmp_path / "a.mjpeg", codec="mjpeg", form="yuvj420p", options={}, sound=None)
    data = (tmp_path / "a.mjpeg").read_bytes()
    assert data.startswith(b"\xff\xd8\xff")
    assert kind_of(tmp_path / "a.mjpeg") == "video"
    assert load_video(tmp_path / "a.mjpeg")[0].shape[1] == 50
    (tmp_path / "a.jpg").write_bytes(data)
    assert kind_of(tmp_path / "a.jpg") == "image"
