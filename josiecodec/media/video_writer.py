"""Writing video files, with or without audio, through PyAV."""

from __future__ import annotations

import contextlib
import itertools
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..atomic import PendingFile
from ..errors import MediaError
from .pixels import rgb_bytes

if TYPE_CHECKING:
    from torch import Tensor

# suffix: container, video codec, its options, audio codec
_KINDS: dict[str, tuple[str, str, dict[str, str], str]] = {
    ".mp4": ("mp4", "libx264", {"crf": "14", "preset": "medium"}, "aac"),
    ".m4v": ("mp4", "libx264", {"crf": "14", "preset": "medium"}, "aac"),
    ".mov": ("mov", "libx264", {"crf": "14", "preset": "medium"}, "aac"),
    ".mkv": ("matroska", "ffv1", {"level": "3"}, "flac"),  # lossless
}
BT709, SRGB = 1, 13  # FFmpeg's numbers for the colours of HD video, and of what is stored as RGB
RGB, LIMITED, FULL = 0, 1, 2
# chroma lies where H.264 and players take it to lie, left of centre; without these flags colours get darker
_TO_YUV = (
    "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp:out_color_matrix=bt709:out_range=limited:"
    "out_chroma_loc=left"
)
AUDIO_BITRATE = 128_000  # bits per second


class VideoWriter:
    """A video file; it appears under its name only when complete.

    H.264 and AAC in MP4 and MOV; in MKV FFV1 and FLAC, which are lossless. Odd widths and heights are kept
    (H.264 then stores colours at full resolution).

    Args:
        path: where; the suffix says in what format.
        size: height and width.
        rate: pictures per second.
        sample_rate: of the audio; None for none.
        tick: of the clock of pictures that come at no even rate, in seconds; Matroska rounds to milliseconds.

    Raises:
        MediaError: if it cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        rate: Fraction,
        sample_rate: int | None = None,
        tick: Fraction | None = None,
    ):
        import av

        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in _KINDS:
            raise MediaError(f"{path}: video cannot be written as {suffix or 'a file without a suffix'!r}")
        kind, codec, options, audio_codec = _KINDS[suffix]
        self._pending = PendingFile(self.path)
        self.size = size
        self.pictures, self.samples = 0, 0  # written so far
        self.sample_rate = sample_rate
        self.rate = rate or Fraction(1)
        self.tick = tick or 1 / self.rate
        self.seconds = Fraction(0)  # of pictures so far
        self._durations: dict[int, int] = {}  # of pictures that are being encoded, by their times
        self._audio: Any = None
        self._container: Any = None
        self._to_yuv: Any = None
        if tick is not None and codec == "libx264":  # MP4 has the duration of the picture that is decoded last
            options = {**options, "bf": "0"}
        try:
            self._container = av.open(str(self._pending.temporary), "w", format=kind)
            self._video: Any = self._container.add_stream(codec, rate=self.rate, options=options)
            if tick is not None:
                self._video.codec_context.time_base = self._video.time_base = tick
            self._video.height, self._video.width = size
            even = size[0] % 2 == 0 and size[1] % 2 == 0
            self._video.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p" if even else "yuv444p"
            self._video.codec_context.sample_aspect_ratio = Fraction(1)  # else some players guess it from the size
            context = self._video.codec_context  # what players take untagged video for depends on its size
            context.color_primaries = BT709
            if codec == "ffv1":
                context.colorspace, context.color_trc, context.color_range = RGB, SRGB, FULL
            else:
                context.colorspace, context.color_trc, context.color_range = BT709, BT709, LIMITED
                self._to_yuv = self._conversion()
            if sample_rate is not None:
                self._audio = self._container.add_stream(audio_codec, rate=sample_rate, layout="mono")
                self._audio.bit_rate = AUDIO_BITRATE
        except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
            self.abort()
            raise MediaError(f"{path}: cannot be written ({error})") from None

    def _conversion(self) -> Any:
        """A filter graph from RGB to what the encoder takes."""
        import av

        graph = av.filter.Graph()
        form = av.VideoFormat("rgb24", self.size[1], self.size[0])
        source = graph.add_buffer(width=self.size[1], height=self.size[0], format=form, time_base=self.tick)
        filters = [source, graph.add("scale", _TO_YUV), graph.add("format", self._video.pix_fmt)]
        for before, after in itertools.pairwise([*filters, graph.add("buffersink")]):
            before.link_to(after)
        graph.configure()
        return graph

    def write(self, picture: Tensor | np.ndarray, duration: int = 1) -> None:
        """Append a picture [3, H, W] in [0, 1], shown for so many ticks."""
        import av

        frame = av.VideoFrame.from_ndarray(rgb_bytes(_array(picture)), format="rgb24")
        frame.pts = round(self.seconds / self.tick)
        frame.time_base = self.tick
        self._durations[frame.pts] = duration
        self.seconds += duration * self.tick
        if self._to_yuv is not None:
            self._to_yuv.push(frame)
            frame = self._to_yuv.pull()
            frame.color_primaries, frame.color_trc = BT709, BT709
        self.pictures += 1
        self._mux(self._video, frame)

    def write_audio(self, samples: Tensor | np.ndarray) -> None:
        """Append samples [n] in [-1, 1]; what lies beyond is clipped."""
        import av

        block = _array(samples).reshape(1, -1).clip(-1, 1).astype(np.float32)
        if not block.shape[1] or self.sample_rate is None:
            return
        form = "fltp"
        if self._audio.codec_context.name == "flac":
            block, form = (block * 32767).round().astype(np.int16), "s16"
        frame = av.AudioFrame.from_ndarray(block, format=form, layout="mono")
        frame.sample_rate = self.sample_rate
        frame.pts, frame.time_base = self.samples, Fraction(1, self.sample_rate)
        self.samples += block.shape[1]
        self._mux(self._audio, frame)

    def close(self) -> None:
        """Finish the file and give it its name."""
        import av

        try:
            if not self.pictures:
                raise MediaError(f"{self.path}: a video without a picture cannot be written")
            self._mux(self._video, None)
            if self._audio is not None:
                self._mux(self._audio, None)
            self._container.close()
            self._pending.commit()
        except (av.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise MediaError(f"{self.path}: cannot be written ({error})") from None
        except MediaError:
            self.abort()
            raise

    def abort(self) -> None:
        """Throw away what was written."""
        with contextlib.suppress(Exception):  # it is thrown away anyway
            if self._container is not None:
                self._container.close()
        self._pending.discard()

    def _mux(self, stream: Any, frame: Any) -> None:
        import av

        try:
            for packet in stream.encode(frame):
                if stream is self._video and packet.pts in self._durations:
                    packet.duration = self._durations.pop(packet.pts)
                self._container.mux(packet)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError(f"{self.path}: cannot be written ({error})") from None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def _array(x: Tensor | np.ndarray) -> np.ndarray:
    """A tensor of any device as an array."""
    return x if isinstance(x, np.ndarray) else x.detach().cpu().numpy()
