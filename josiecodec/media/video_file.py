"""Films and their packets: opening any container, which track is the film, and going on after what is damaged."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import MediaError
from .audio_layout import kept
from .mp4_index import without_index
from .video_clock import Clock

_SUFFIXES = """mp4 m4v mov qt mkv webm avi mpg mpeg mpe m1v m2v mpv ts mts m2ts m2t vob tod mod ogv ogm flv f4v wmv asf
3gp 3g2 mxf y4m h264 264 avc h265 265 hevc ivf obu mjpeg mjpg dv gxf nut rm rmvb divx wtv"""
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
# what FFmpeg takes for films although they are texts, lists of other files, or still pictures
_NO_FILMS = (
    "tty",
    "hls",
    "dash",
    "concat",
    "ffmetadata",
    "image2",
    "bin",
    "xbin",
    "adf",
    "idf",
    "lrc",
    "srt",
    "webvtt",
)
_COVER, _THUMBNAILS, _STILL = 0x400, 0x800, 0x100000  # dispositions
_DEFAULT = 1
MAX_LATE = 8  # pictures by which XviD in FFmpeg is late
TS_DISCONTINUITIES = 0x200  # flag of a format whose clock may be reset
LOOK_AHEAD = 300  # packets looked through for the first one of the pictures after a clock was set anew
# decoders that give the transparency of these, if FFmpeg's own do not
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def open_film(path: str | Path) -> Any:
    """An `av` container of a media file.

    Raises:
        MediaError: if it is none.
    """
    import av

    name = str(path)
    if not Path(path).is_file():
        raise MediaError(f"{path}: no such file")
    try:  # "file:", for a name may look like an address; nothing else is opened for a file that points elsewhere
        container = av.open(f"file:{name}", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.FFmpegError, ValueError, OSError) as error:
        why = without_index(path) or f"not a media file that can be read ({reason(error)})"
        raise MediaError(f"{path}: {why}") from None
    kind = (getattr(container.format, "name", None) or "").split(",")[0]
    if kind.endswith("_pipe"):
        container.close()
        raise MediaError(
            f"{path}: pictures of the kind {kind.removesuffix('_pipe')} are not read; save it as PNG or TIFF"
        )
    if kind in _NO_FILMS:
        container.close()
        raise MediaError(f"{path}: not a media file that can be read (it is {kind})")
    return container


def film_stream(container: Any) -> Any:
    """The stream of pictures: one that is flagged as default, the largest of several; None without any.

    Raises:
        MediaError: if there are some, but none that can be decoded.
    """
    found = _films(container)
    streams = [s for s in found if s.codec_context is not None]
    if found and not streams:
        raise MediaError(f"{shown_name(container)}: its pictures are of a kind that cannot be decoded")
    flagged = [s for s in streams if _disposition(s) & _DEFAULT] or streams
    return max(flagged, key=lambda s: s.codec_context.width * s.codec_context.height, default=None)


def film_count(container: Any) -> int:
    """Number of streams of pictures that are no covers or thumbnails."""
    return len(_films(container))


def _films(container: Any) -> list[Any]:
    return [s for s in container.streams.video if not _disposition(s) & (_COVER | _THUMBNAILS | _STILL)]


def holds_video(path: str | Path) -> bool:
    """Whether a file holds video (and not just, for example, a song with its cover).

    Raises:
        MediaError: if it is no media file at all.
    """
    container = open_film(path)
    with container:
        if film_stream(container) is not None:
            return True
        if not container.streams.audio:
            raise MediaError(f"{path}: {without_index(path) or 'neither pictures nor sound in it'}")
        return False


def packets(container: Any, streams: list[Any], quiet: bool = False) -> Iterator[Any]:
    """The packets of some streams in the order of the file, with continuous time stamps; the last ones are empty.

    Where a clock is set anew, the first of the streams goes on without a break. Where the file is damaged or cut off
    the packets end, with a warning.

    Args:
        container: of a film.
        streams: the pictures first.
        quiet: say nothing of clocks that are set anew.
    """
    clock = Clock(bool(container.format.flags & TS_DISCONTINUITIES))
    source = _demuxed(container, streams)
    leader = streams[0].index
    for packet in source:
        ahead, done = [packet], set()
        if clock.breaks(packet) and packet.stream.index != leader:
            for other in itertools.islice(source, LOOK_AHEAD):
                ahead.append(other)
                if other.stream.index == leader:
                    if clock.breaks(other):
                        clock.reset(other)
                        break
                    clock.fix(other)  # still of the clock before
                    done.add(len(ahead) - 1)
        for number, each in enumerate(ahead):
            if number not in done:
                clock.fix(each)
            yield each
    if clock.resets and not quiet:
        times = "once" if clock.resets == 1 else f"{clock.resets} times"
        warnings.warn(
            f"{shown_name(container)}: its clock is set anew {times}; played on without a break", stacklevel=2
        )


def without_delay(container: Any, stream: Any, found: Iterator[Any]) -> Iterator[Any]:
    """Packets of a film; those of XviD with B-frames that FFmpeg wrote to AVI earlier, by as much as they are late.

    The encoder holds pictures back. FFmpeg gives each packet the time of the picture that brought it out, so the first
    picture is on time and all others are late by some pictures, while the sound is not (AVI has no other times).
    """
    extra = bytes(stream.codec_context.extradata or b"")
    late = container.format.name == "avi" and b"XviD" in extra and stream.codec_context.has_b_frames
    if not late or not container.metadata.get("encoder", container.metadata.get("software", "")).startswith("Lavf"):
        yield from found
        return
    first = delay = None
    for packet in found:
        if packet.stream.index == stream.index and packet.dts is not None:
            if first is None:
                first = packet.dts
            else:
                hole = packet.dts - first - 1
                delay = (hole if 0 < hole <= MAX_LATE else 0) if delay is None else delay
                packet.dts -= delay
                packet.pts = None if packet.pts is None else packet.pts - delay
        yield packet


def _demuxed(container: Any, streams: list[Any]) -> Iterator[Any]:
    import av

    try:
        yield from container.demux(streams)
    except (av.FFmpegError, ValueError, OSError) as error:
        warnings.warn(f"{shown_name(container)}: ends in the middle ({reason(error)})", stacklevel=2)


class Decoder:
    """Decodes the packets of a stream and goes on after those that are damaged.

    Attributes:
        damaged: number of packets and frames that were not whole.
        missing: of these, those that gave nothing.
    """

    def __init__(self, stream: Any):
        from av.codec.context import Flags

        self.stream = stream
        self.damaged = self.missing = 0
        self._context = _alpha_decoder(stream) or stream.codec_context
        self._context.flags |= Flags.unaligned  # else margins at the left that are not to be shown stay
        self._finished = False

    def __call__(self, packet: Any) -> Iterator[Any]:
        """Frames of a packet; an empty one brings out the rest."""
        import av

        flush = packet.pts is None and packet.dts is None and not packet.size
        if self._finished or not (packet.size or flush):  # an empty packet of Theora is the picture before once more
            return
        self._finished = flush
        try:
            frames = [kept(frame) for frame in self._context.decode(packet)]
        except (av.FFmpegError, ValueError, OSError):
            if packet.size:
                self.damaged += 1
                self.missing += 1
            return
        for frame in frames:
            self.damaged += bool(frame.is_corrupt)
            if not frame.time_base:  # of a decoder that is not the stream's own
                frame.time_base = self.stream.time_base
            yield frame


def shown_name(container: Any) -> str:
    """Name of a container's file, for messages."""
    return str(container.name).removeprefix("file:")


def reason(error: BaseException) -> str:
    """The last line of an error's message, without FFmpeg's number and the name of the file."""
    text = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return text[-1] if text else type(error).__name__


def _disposition(stream: Any) -> int:
    return int(stream.disposition)


def _alpha_decoder(stream: Any) -> Any:
    """A decoder that gives the transparency of a WebM; None if there is none, or nothing is transparent."""
    import av

    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return None
    try:
        return av.CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):
        return None
