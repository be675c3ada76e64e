"""The kinds of input of the conformance bench: how each is made, and what is right for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from kit.colors import hlg, in_primaries, pq
from kit.films import FilmKind, film, filtered
from kit.pictures import PICTURES

MS, CLOCK = Fraction(1, 1000), Fraction(1, 90000)
MPEG2 = {"codec": "mpeg2video", "options": {"b": "4000000"}}
SMALL_MKV = {"codec": "ffv1", "form": "bgr0", "options": {}, "sound": "flac"}
TAGS_709, TAGS_601, TAGS_2020 = (1, 1, 1, 1), (6, 1, 6, 6), (9, 1, 14, 9)
TO_709, TO_601 = "out_color_matrix=bt709:out_range=limited", "out_color_matrix=bt601:out_range=limited"
EXACT_709, FULL_709, EXACT_2020 = (0.2126, 0.0722, True), (0.2126, 0.0722, False), (0.2627, 0.0593, True)
STILL: dict[str, Any] = {"sound": None, "seconds": 0.4, "flashes": (), "rate": Fraction(10)}
X264 = {"crf": "1", "preset": "ultrafast"}
B_FRAMES = {"crf": "10", "preset": "veryfast", "bf": "3", "b_strategy": "0"}


@dataclass(frozen=True)
class Expected:
    """What is right.

    Attributes:
        seconds: of the pictures.
        flashes, beeps: times of their beginnings, in the order of time.
        size: height and width.
        rate: pictures per second.
        color: whether the picture is the chart; its mean error is compared then.
        turn: numpy's way from the upright picture to the one that comes out (of charts that are turned on purpose).
        step: seconds by which a flash may be off: half a picture where times are uneven.
    """

    seconds: float = 2.0
    flashes: tuple[float, ...] = (1.0,)
    beeps: tuple[float, ...] | None = (1.0,)
    size: tuple[int, int] = (64, 96)
    rate: Fraction | None = Fraction(25)
    color: bool = False
    turn: Callable[[np.ndarray], np.ndarray] | None = None
    step: float = 0.002


@dataclass(frozen=True)
class Kind:
    """A kind of input."""

    name: str
    make: Callable[[Path], Path]
    expected: Expected = field(default_factory=Expected)


def _film(name: str, expected: Expected | None = None, **changes: Any) -> Kind:
    return Kind(name, lambda folder: film(folder / name, FilmKind(), **changes), expected or Expected())


def _containers() -> list[Kind]:
    vp9, vp8 = {"codec": "libvpx-vp9", "options": {"crf": "10"}}, {"codec": "libvpx", "options": {"b": "2000000"}}
    prores = {"codec": "prores_ks", "form": "yuv422p10le", "options": {}, "sound": "pcm_s16le"}
    mjpeg = {"codec": "mjpeg", "form": "yuvj420p", "options": {"qscale": "2", "flags": "qscale"}, "sound": "pcm_s16le"}
    h263 = {"codec": "h263", "size": (96, 128), "options": {"b": "3000000"}, "rate": Fraction(10)}
    slow = {"expected": Expected(rate=Fraction(10), size=(96, 140))}
    return [
        _film("h264_aac.mp4"),
        *(_film(f"b_frames.{suffix}", options=B_FRAMES) for suffix in ("mp4", "mov", "mkv", "ts", "flv")),
        _film("hevc.mp4", codec="libx265", options={"crf": "10", "x265-params": "log-level=error"}),
        _film("prores_pcm.mov", **prores),
        _film("ffv1_flac.mkv", **SMALL_MKV),
        _film("vp9_opus.webm", **vp9, sound="libopus"),
        _film("vp8_opus.webm", **vp8, sound="libopus"),
        _film("mjpeg_pcm.avi", **mjpeg),
        _film("mpeg2_mp2.mpg", **MPEG2, sound="mp2", container="mpeg"),
        _film("transport.ts"),
        _film("camcorder.mts", container="mpegts", sound="ac3"),
        _film("bluray.m2ts", container="mpegts", container_options={"mpegts_m2ts_mode": "1"}, sound="ac3"),
        _film("dvd.vob", **MPEG2, sound="ac3", container="vob"),
        _film("windows.wmv", codec="wmv2", options={"b": "3000000"}, sound="wmav2", container="asf", sample_rate=44100,
              layout="stereo"),
        _film("phone.3gp", **h263, **slow),
        _film("flash.flv", codec="flv", options={"b": "3000000"}, sample_rate=44100),
        _film("broadcast.mxf", **MPEG2, sound="pcm_s16le"),
        _film("raw.y4m", Expected(beeps=None), codec="wrapped_avframe", options={}, sound=None,
              container="yuv4mpegpipe"),
        _film("raw.h264", Expected(beeps=None), sound=None, container="h264"),
        _film("named_wrongly.jpg", container="mp4"),
        _film("without_suffix", container="matroska"),
    ]  # fmt: skip


def _time_lines() -> list[Kind]:
    bursts = [0, 0.5, *(1 + n / 60 for n in range(30)), 2.5, 3]
    both = [n / 25 for n in range(50)] + [13 + n / 25 for n in range(50)]
    two = (1.0, 19.0)
    long = Expected(seconds=20, flashes=two, beeps=two)
    jitter = [n / 30 + (n % 30 > 0) * (n * 7919 % 11 - 5) / 1000 for n in range(90)]
    return [
        _film("bursts.mp4", Expected(181 / 60, rate=Fraction(60)), times=bursts, rate=Fraction(60), sound_seconds=3.2,
              time_base=Fraction(1, 16000)),
        _film("slow_motion.mp4", Expected(0.5, (0.25,), (0.25,), rate=Fraction(480)), rate=Fraction(480), seconds=0.5,
              flashes=(0.25,)),
        _film("ends_on_a_still.mp4", Expected(6.96, beeps=None), last=5.0, sound=None),
        _film("hole_in_both.mkv", Expected(15, (1.0, 14.0), (1.0, 14.0)), times=both, time_base=MS,
              flashes=(1.0, 14.0), sound_seconds=15, holes=((2.0, 13.0),)),
        _film("screen_share.webm", Expected(80, (1.0,), (1.0, 75.0), rate=Fraction(10)), codec="libvpx-vp9",
              options={}, sound="libopus", times=[n / 10 for n in range(20)], time_base=MS, flashes=(1.0, 75.0),
              sound_seconds=80),
        _film("muted_call.mkv", Expected(76, (1.0, 75.0), (1.0, 75.0), rate=Fraction(5)), seconds=76,
              rate=Fraction(5), flashes=(1.0, 75.0), holes=((3.0, 70.0),)),
        _film("pictures_later.mp4", Expected(2.52, (1.52,)), start=0.52),
        _film("sound_later.mp4", Expected(beeps=(1.4,)), sound_start=0.4),
        _film("sound_later.mkv", Expected(beeps=(1.4,)), sound_start=0.4),
        _film("clock_slow.mkv", long, seconds=20, pace=1.005, flashes=two, sound_seconds=19.9),
        _film("clock_quick.mkv", long, seconds=20, pace=0.995, flashes=two),
        _film("ntsc.mkv", Expected(60 * 1.001 / 30, (1.001,), rate=Fraction(30000, 1001)),
              rate=Fraction(30000, 1001)),
        _film("jitter.webm", Expected(3.0, rate=None, step=0.02), codec="libvpx", options={}, sound="libopus",
              times=jitter, time_base=MS, seconds=3.0),
        Kind("two_joined.ts", _joined, Expected(4.0, (1.0, 3.0), (1.0, 3.0), step=0.03)),
        Kind("cut_off.mp4", lambda folder: _cut(folder, "cut_off.mp4"), Expected(1.4, step=0.02)),
        Kind("damaged.ts", _damaged, Expected()),
    ]  # fmt: skip


def _geometry() -> list[Kind]:
    interlaced = {"b": "4000000", "flags": "+ildct+ilme"}
    turns: dict[tuple[int, bool, bool], Callable[[np.ndarray], np.ndarray]] = {
        (0, True, False): lambda p: p[:, ::-1],
        (0, False, True): lambda p: p[::-1],
        (90, False, False): lambda p: np.rot90(p),
        (180, False, False): lambda p: np.rot90(p, 2),
        (270, False, False): lambda p: np.rot90(p, 3),
        (90, True, False): lambda p: np.rot90(p)[:, ::-1],
        (270, True, False): lambda p: np.rot90(p, 3)[:, ::-1],
    }
    upright = STILL | {"options": X264, "form": "yuv444p", "tags": TAGS_709, "convert": TO_709}
    made = [
        _film(
            f"turned_{degrees}{'_mirrored' * h}{'_flipped' * v}.mp4",
            Expected(0.4, (), None, (96, 64) if degrees % 180 else (64, 96), Fraction(10), True, turn),
            **upright | {"turn": (degrees, h, v)},
        )
        for (degrees, h, v), turn in turns.items()
    ]
    return [
        *made,
        _film("wide_pixels.mp4", Expected(size=(64, 128)), aspect=Fraction(4, 3)),
        _film("narrow_pixels.mkv", Expected(size=(64, 85)), aspect=Fraction(8, 9)),
        _film("interlaced.mpg", Expected(beeps=None), codec="mpeg2video", options=interlaced, interlaced=True,
              sound=None, container="mpeg"),
        *(Kind(f"hidden_columns.{form}", partial(_hidden_columns, form=form, codec=codec),
               Expected(size=(64, 90), beeps=None)) for form, codec in (("h264", "libx264"), ("hevc", "libx265"))),
        Kind("size_changes.ts", _size_changes, Expected(4.0, (1.0, 3.0), (1.0, 3.0), step=0.03)),
    ]  # fmt: skip


def _colors() -> list[Kind]:
    def still(name: str, **changes: Any) -> Kind:
        size = changes.get("size", (64, 96))
        return _film(name, Expected(0.4, (), None, size, Fraction(10), True), **STILL | {"options": X264} | changes)

    hd, deep = (720, 1280), {"codec": "ffv1", "options": {}, "form": "yuv444p10le"}
    return [
        still("untagged_sd.mp4", convert=TO_601),
        _film("untagged_hd.mp4", Expected(0.2, (), None, hd, Fraction(10), True),
              **STILL | {"options": X264, "convert": TO_709, "size": hd, "seconds": 0.2}),
        still("tagged_709.mp4", tags=TAGS_709, convert=TO_709),
        still("full_range.mp4", tags=(1, 2, 1, 1), form="yuv444p", exact=FULL_709),
        still("ten_bits.mkv", tags=TAGS_709, exact=EXACT_709, **deep),
        still("hdr_pq.mkv", tags=(9, 1, 16, 9), exact=EXACT_2020, prepare=pq, **deep),
        still("hdr_hlg.mkv", tags=(9, 1, 18, 9), exact=EXACT_2020, prepare=hlg, **deep),
        still("display_p3.mkv", tags=(1, 1, 13, 12), exact=EXACT_709, prepare=lambda p: in_primaries(p, 12), **deep),
        still("bt2020_sdr.mkv", tags=TAGS_2020, exact=EXACT_2020, prepare=lambda p: in_primaries(p, 9, 2.4), **deep),
        still("rgb.mkv", codec="ffv1", form="bgr0", options={}),
        still("transparent.mov", codec="qtrle", form="argb", options={},
              prepare=lambda p: np.dstack([p, np.full(p.shape[:2], 255, np.uint8)])),
    ]  # fmt: skip


def _hidden_columns(folder: Path, form: str, codec: str) -> Path:
    options = {"crf": "10"} | ({"x265-params": "log-level=error"} if codec == "libx265" else {})
    whole = film(folder / f"whole.{form}", codec=codec, form="yuv444p", options=options, sound=None, container=form)
    return filtered(folder / f"hidden_columns.{form}", whole, f"{form}_metadata=crop_left=6")


def _joined(folder: Path) -> Path:
    parts = [film(folder / f"part{n}.ts").read_bytes() for n in range(2)]
    (folder / "two_joined.ts").write_bytes(b"".join(parts))
    return folder / "two_joined.ts"


def _size_changes(folder: Path) -> Path:
    parts = [film(folder / f"size{n}.ts", size=size).read_bytes() for n, size in enumerate([(64, 96), (96, 144)])]
    (folder / "size_changes.ts").write_bytes(b"".join(parts))
    return folder / "size_changes.ts"


def _cut(folder: Path, name: str) -> Path:
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "200000"}
    options = {"crf": "10", "preset": "ultrafast", "g": "5"}
    path = film(folder / name, container_options=flags, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 5])
    return path


def _damaged(folder: Path) -> Path:
    path = film(folder / "damaged.ts", options={"crf": "10", "preset": "ultrafast", "g": "5"})
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4 : len(data) * 3 // 4 + 400] = bytes(400)
    path.write_bytes(bytes(data))
    return path


def all_kinds() -> list[Kind]:
    """All kinds."""
    pictures = [Kind(name, make, Expected(0, (), None, (64, 96), None, True)) for name, make in PICTURES.items()]
    return [*_containers(), *_time_lines(), *_geometry(), *_colors(), *pictures]
