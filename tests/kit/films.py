"""Films of any kind, made with PyAV: a chart of colours with flashes, and beeps at the same times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

# sRGB values of a chart of 24 colours
PATCHES = np.array(
    [
        [(115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)],
        [(214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)],
        [(56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)],
        [(243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)],
    ],
    np.uint8,
)
TO_YUV = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


def chart(height: int = 64, width: int = 96) -> np.ndarray:
    """uint8 [H, W, 3]: the patches."""
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 6 // width
    return PATCHES[rows][:, columns]


def patch_means(picture: np.ndarray) -> np.ndarray:
    """float [4, 6, 3]: the colour in the middle of every patch of a picture [H, W, 3]."""
    height, width = picture.shape[0] // 4, picture.shape[1] // 6
    cut = picture[: 4 * height, : 6 * width].astype(float).reshape(4, height, 6, width, 3)
    return cut[:, height // 4 : -height // 4, :, width // 4 : -width // 4].mean((1, 3))


@dataclass
class FilmKind:
    """What a film is like.

    Attributes:
        times: of its pictures in seconds; None for `rate` in `seconds`.
        flashes: when a white picture is shown, and a beep heard.
        start, sound_start: when the pictures and the sound begin.
        holes: pairs of times between which there is no sound in the file, though its clock goes on.
        pace: seconds on the clock that a second of samples takes.
        tags: of the colours: matrix, range, transfer, primaries by H.273; None for none.
        convert: options of the `scale` filter for the way from RGB.
        exact: share of red and blue in luma, and whether the range is limited, for a way from RGB without that filter
            and its rounding errors.
        prepare: changes the picture (uint8 or uint16 [H, W, 3]) before that.
        last: how long the last picture is shown, in seconds.
    """

    codec: str = "libx264"
    form: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "10", "preset": "ultrafast"})
    container: str | None = None
    container_options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (64, 96)
    rate: Fraction = Fraction(25)
    seconds: float = 2.0
    times: Sequence[float] | None = None
    time_base: Fraction | None = None
    flashes: tuple[float, ...] = (1.0,)
    start: float = 0.0
    last: float | None = None
    sound: str | None = "aac"
    sample_rate: int = 48000
    layout: str = "mono"
    sound_seconds: float | None = None
    sound_start: float = 0.0
    holes: tuple[tuple[float, float], ...] = ()
    pace: float = 1.0
    tags: tuple[int, int, int, int] | None = None
    convert: str = ""
    exact: tuple[float, float, bool] | None = None
    prepare: Callable[[np.ndarray], np.ndarray] | None = None
    aspect: Fraction | None = None
    turn: tuple[int, bool, bool] | None = None
    interlaced: bool = False


def film(path: Path, kind: FilmKind | None = None, **changes: Any) -> Path:
    """Write a film.

    Args:
        path: where; the suffix says the container if the kind does not.
        kind: what it is like.
        changes: attributes of another value.
    """
    kind = FilmKind(**{**vars(kind or FilmKind()), **changes})
    with av.open(str(path), "w", format=kind.container, options=kind.container_options) as container:
        video = _video_stream(container, kind)
        audio = None
        if kind.sound is not None:
            audio = container.add_stream(kind.sound, rate=kind.sample_rate, layout=kind.layout)
            audio.bit_rate = 128_000
        packets = [*_pictures(video, kind), *(_sound(audio, kind) if audio is not None else ())]
        packets.sort(key=lambda p: float((p.dts if p.dts is not None else p.pts or 0) * p.time_base))
        for packet in packets:
            container.mux(packet)
    return path


def filtered(path: Path, source: Path, bits: str) -> Path:
    """A raw H.264 or HEVC film, its packets changed by a bitstream filter of FFmpeg."""
    with av.open(str(source)) as container, open(path, "wb") as out:
        stream = container.streams.video[0]
        change = av.BitStreamFilterContext(bits, stream)
        for packet in (*(p for p in container.demux(stream) if p.size), None):
            out.writelines(bytes(part) for part in change.filter(packet))
    return path


def _video_stream(container: Any, kind: FilmKind) -> Any:
    video = container.add_stream(kind.codec, rate=kind.rate, options=dict(kind.options))
    video.height, video.width, video.pix_fmt = *kind.size, kind.form
    context = video.codec_context
    if kind.time_base is not None:
        context.time_base = video.time_base = kind.time_base
    if kind.tags is not None:
        context.colorspace, context.color_range, context.color_trc, context.color_primaries = kind.tags
    if kind.aspect is not None:
        context.sample_aspect_ratio = kind.aspect
    if kind.turn is not None:
        video.set_display_rotation(kind.turn[0], hflip=kind.turn[1], vflip=kind.turn[2])
    return video


def _pictures(video: Any, kind: FilmKind) -> Iterable[Any]:
    count = round(kind.seconds * kind.rate)
    times = [n / float(kind.rate) for n in range(count)] if kind.times is None else list(kind.times)
    base = kind.time_base or 1 / kind.rate
    graph = None
    picture = chart(*kind.size) if kind.prepare is None else kind.prepare(chart(*kind.size))
    white = np.full_like(picture, np.iinfo(picture.dtype).max)
    packets = []
    for time in times:
        on = any(flash <= time + 1e-6 < flash + 0.2 for flash in kind.flashes)
        form = "rgba" if picture.shape[2] == 4 else "rgb24"
        if kind.exact is not None:
            frame = exact_frame(white if on else picture, kind.form, *kind.exact)
        else:
            frame = av.VideoFrame.from_ndarray(white if on else picture, format=form)
        if kind.exact is None and form != kind.form:
            graph = graph or _graph(kind, form, base)
            frame.pts, frame.time_base = 0, base
            graph.push(frame)
            frame = graph.pull()
        frame.pts, frame.time_base = round((time + kind.start) / base), base
        if kind.tags is not None:
            frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries = kind.tags
        packets += video.encode(frame)
    packets += video.encode(None)
    if kind.last is not None:
        final = max(packets, key=lambda p: p.pts)
        final.duration = round(kind.last / float(final.time_base))
    return packets


def exact_frame(picture: np.ndarray, form: str, red: float, blue: float, limited: bool) -> Any:
    """A frame of "yuv444p" or "yuv444p10le" from RGB [H, W, 3], rounded once."""
    rgb = picture / np.iinfo(picture.dtype).max
    y = rgb @ np.array([red, 1 - red - blue, blue])
    chroma = [(rgb[..., 2] - y) / (2 - 2 * blue), (rgb[..., 0] - y) / (2 - 2 * red)]
    bits = 10 if form.endswith("10le") else 8
    step = 1 << (bits - 8)
    if limited:
        planes = [(16 + 219 * y) * step, *((128 + 224 * c) * step for c in chroma)]
    else:
        planes = [y * (256 * step - 1), *(128 * step + c * (256 * step - 1) for c in chroma)]
    frame = av.VideoFrame(picture.shape[1], picture.shape[0], form)
    for plane, values in zip(frame.planes, planes, strict=True):
        codes = np.rint(np.clip(values, 0, 256 * step - 1)).astype(np.uint16 if bits > 8 else np.uint8)
        lines = np.zeros((plane.height, plane.line_size // codes.itemsize), codes.dtype)
        lines[:, : codes.shape[1]] = codes
        plane.update(lines)
    return frame


def _graph(kind: FilmKind, form: str, base: Fraction) -> Any:
    graph = av.filter.Graph()
    height, width = kind.size
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat(form, width, height), time_base=base)
    filters = [source, graph.add("scale", f"{TO_YUV}:{kind.convert}".rstrip(":")), graph.add("format", kind.form)]
    if kind.interlaced:
        filters.append(graph.add("setfield", "tff"))
    filters.append(graph.add("buffersink"))
    for before, after in itertools.pairwise(filters):
        before.link_to(after)
    graph.configure()
    return graph


def beeps(kind: FilmKind) -> np.ndarray:
    """float32 [n]: silence with a beep of 0.2 s at every flash."""
    seconds = kind.seconds if kind.sound_seconds is None else kind.sound_seconds
    wave = np.zeros(round(seconds * kind.sample_rate), np.float32)
    tone = 0.4 * np.sin(np.arange(round(0.2 * kind.sample_rate)) * 2 * np.pi * 1000 / kind.sample_rate)
    for flash in kind.flashes:
        first = round(flash / kind.pace * kind.sample_rate)
        wave[first : first + len(tone)] = tone[: max(len(wave) - first, 0)]
    return wave


def _sound(audio: Any, kind: FilmKind) -> Iterable[Any]:
    wave, rate = beeps(kind), kind.sample_rate
    context = audio.codec_context
    form = context.format.name if context.format else "fltp"
    resampler = av.AudioResampler(format=form, layout=kind.layout, rate=rate)
    size, packets = 1024, []
    for first in range(0, len(wave), size):
        block = wave[first : first + size]
        time = first / rate * kind.pace
        if any(begin <= time < end for begin, end in kind.holes):
            continue
        frame = av.AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
        for part in resampler.resample(frame):
            part.pts, part.time_base = round((time + kind.sound_start) * rate), Fraction(1, rate)
            packets += audio.encode(part)
    packets += audio.encode(None)
    return packets
