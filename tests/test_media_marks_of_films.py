"""Films that are not shown as they are stored: crop marks, sound that breaks off, pictures that are late."""

import struct
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from kit.films import film, filtered

from josiecodec.errors import MediaError
from josiecodec.media.kinds import kind_of
from josiecodec.media.video_crop import Crop, crop_of
from josiecodec.media.video_file import film_stream, open_film, without_delay
from josiecodec.media.video_reader import VideoReader

EXACT = {"codec": "ffv1", "form": "bgr0", "options": {}, "sound": None, "flashes": ()}


def first_picture(path):
    with VideoReader(path) as reader:
        picture = next(reader.bytes())
        assert reader.size == picture.shape[:2]
        return picture


def put_into(data: bytes, names: list[bytes], extra: bytes) -> bytes:
    """An MP4 with a box more at the end of the innermost of some boxes; its index has to lie behind its samples."""
    at, places = 0, []
    for name in names:
        at = data.index(name, at) - 4
        places.append(at)
        at += 8
    end = places[-1] + int.from_bytes(data[places[-1] : places[-1] + 4], "big")
    out = bytearray(data[:end] + extra + data[end:])
    for place in places:
        out[place : place + 4] = struct.pack(">I", int.from_bytes(out[place : place + 4], "big") + len(extra))
    return bytes(out)


def put_into_track(path, more: bytes, inside_video: bool = True) -> None:
    """Put elements into the first track of a Matroska file, or among those of its pictures."""
    data = path.read_bytes()
    width = data.index(b"\xb0\x81\x60")  # PixelWidth 96: what follows Tracks is moved, which no reader minds here
    at = width if inside_video else data.rindex(b"\xe0", 0, width)
    out = bytearray(data[:at] + more + data[at:])
    for mark in (b"\x16\x54\xae\x6b", b"\xae", b"\xe0")[: 3 if inside_video else 2]:
        place = data.rindex(mark, 0, at) + len(mark)
        wide = 9 - data[place].bit_length()
        size = (int.from_bytes(out[place : place + wide], "big") & ((1 << 7 * wide) - 1)) + len(more)
        out[place : place + wide] = (size | 1 << 7 * wide).to_bytes(wide, "big")
    start = data.index(b"\x18\x53\x80\x67") + 4
    out[start : start + 8] = b"\x01" + b"\xff" * 7  # a segment of unknown length
    path.write_bytes(bytes(out))


@pytest.mark.parametrize("turn", [None, (90, False, False)])
def test_clean_aperture(tmp_path, turn):
    path = film(tmp_path / "a.mp4", codec="libx264", form="yuv444p", sound=None, flashes=(), turn=turn, seconds=0.4)
    whole = first_picture(path)
    clap = struct.pack(">I4sIIIIiIiI", 40, b"clap", 80, 1, 40, 1, 2, 1, -4, 1)  # 6 and 10, 8 and 16 pixels
    boxes = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"]
    path.write_bytes(put_into(path.read_bytes(), boxes, clap))
    upright = np.rot90(whole, -1) if turn else whole
    right = upright[8:-16, 10:-6]
    np.testing.assert_array_equal(first_picture(path), np.rot90(right) if turn else right)


@pytest.mark.parametrize(("profile", "told"), [(5, True), (8, False)])
def test_dolby_vision_without_colors_for_others_is_told(tmp_path, profile, told):
    path = film(tmp_path / "a.mp4", form="yuv444p", sound=None, flashes=(), seconds=0.2)
    mark = struct.pack(">I4sBBB21x", 32, b"dvcC", 1, 0, profile << 1)
    boxes = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"]
    path.write_bytes(put_into(path.read_bytes(), boxes, mark))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first_picture(path)
    assert ["Dolby Vision" in str(warning.message) for warning in caught] == [True] * told


@pytest.mark.parametrize(("profile", "seen", "told"), [(5, 0, True), (8, 1, False), (10, 0, True), (10, 1, False)])
def test_dolby_vision_in_matroska(tmp_path, profile, seen, told):
    path = film(tmp_path / "a.mkv", **EXACT, seconds=0.2, container_options={"fflags": "bitexact"})
    about = bytes([1, 0, profile << 1, 0, seen << 4]) + bytes(19)
    mapping = b"\x41\xe7\x84dvcC\x41\xed\x98" + about
    put_into_track(path, b"\x41\xe4" + bytes([0x80 | len(mapping)]) + mapping, inside_video=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first_picture(path)
    assert ["Dolby Vision" in str(warning.message) for warning in caught] == [True] * told


@pytest.mark.parametrize(("codec", "form"), [("libx264", "h264"), ("libx265", "hevc")])
def test_columns_at_the_left_that_a_stream_hides(tmp_path, codec, form):
    """PyAV shows them, as FFmpeg's tools do not: what is left begins at no place that suits its fastest code."""
    options = {"crf": "10"} | ({"x265-params": "log-level=error"} if form == "hevc" else {})
    made = {"codec": codec, "form": "yuv444p", "options": options, "container": form}
    path = film(tmp_path / "a.raw", sound=None, flashes=(), seconds=0.2, **made)
    crops = "crop_left=6:crop_right=10:crop_top=2:crop_bottom=4"
    hidden = filtered(tmp_path / f"b.{form}", path, f"{form}_metadata={crops}")
    np.testing.assert_array_equal(first_picture(hidden), first_picture(path)[2:-4, 6:-10])


def test_pixel_crop_of_matroska(tmp_path):
    # Random numbers of tracks, which could look like the marks below, are left out.
    path = film(tmp_path / "a.mkv", **EXACT, seconds=0.4, container_options={"fflags": "bitexact"})
    whole = first_picture(path)
    put_into_track(path, b"\x54\xcc\x81\x06\x54\xdd\x81\x02\x54\xaa\x81\x10")
    np.testing.assert_array_equal(first_picture(path), whole[:-16, 6:-2])


def test_marks_that_leave_nothing_are_ignored(tmp_path):
    path = film(tmp_path / "a.mp4", sound=None, seconds=0.2)
    clap = struct.pack(">I4sIIIIiIiI", 40, b"clap", 800, 1, 40, 0, 2, 1, -4, 1)
    boxes = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"]
    path.write_bytes(put_into(path.read_bytes(), boxes, clap))
    with open_film(path) as container:
        assert crop_of(path, container, film_stream(container)) == Crop()


def test_a_track_head_that_is_cut_off_has_no_marks(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(
        b"".join(struct.pack(">I4s", size, name) for size, name in ((24, b"moov"), (16, b"trak"), (8, b"tkhd")))
    )
    stream = SimpleNamespace(id=1, codec_context=SimpleNamespace(width=64, height=48))
    assert crop_of(path, SimpleNamespace(format=SimpleNamespace(name="mov,mp4")), stream) == Crop()


def test_sound_that_breaks_off_is_said(tmp_path):
    path = film(tmp_path / "a.mp4", sound_seconds=2.0, container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with VideoReader(path) as reader, pytest.warns(UserWarning, match="its sound ends after"):
        list(reader.sound.mono(24000))


@pytest.mark.parametrize(("extra", "moved"), [(b"XviD0074", 3), (b"Lavc", 0)])
def test_xvid_that_ffmpeg_wrote_to_avi_is_late_by_some_pictures(extra, moved):
    context = SimpleNamespace(extradata=b"\0\0\1\xb2" + extra, has_b_frames=True)
    stream = SimpleNamespace(index=0, codec_context=context)
    container = SimpleNamespace(format=SimpleNamespace(name="avi"), metadata={"software": "Lavf61.1.100"})
    times = [0, 4, 5, 6]
    made = [SimpleNamespace(stream=stream, dts=t, pts=None) for t in times]
    sound = SimpleNamespace(stream=SimpleNamespace(index=1), dts=9, pts=9)
    found = list(without_delay(container, stream, iter([*made, sound])))
    assert [p.dts for p in found] == [0, 4 - moved, 5 - moved, 6 - moved, 9]


def test_pictures_that_are_no_films_are_named(tmp_path):
    header = struct.pack(">8I", 0x59A66A95, 16, 16, 24, 768, 1, 0, 0)
    (tmp_path / "a.ras").write_bytes(header + bytes(768))
    with pytest.raises(MediaError, match="pictures of the kind sunrast are not read; save it as PNG"):
        open_film(tmp_path / "a.ras")


def test_codecs_that_nobody_knows(tmp_path):
    path = film(tmp_path / "a.mkv", codec="libx264", seconds=0.4)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"A_AAC", b"A_QQQ"))
    with pytest.warns(UserWarning, match="its sound is of a kind that cannot be decoded"):
        assert first_picture(path).shape == (64, 96, 3)
    path.write_bytes(data.replace(b"V_MPEG4/ISO/AVC", b"V_QQQQQQQQQQQQQ"))
    for what in (VideoReader, kind_of):
        with pytest.raises(MediaError, match="its pictures are of a kind that cannot be decoded"):
            what(path)
