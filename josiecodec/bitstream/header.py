"""The header of a `.josie` file: what its streams are and which model they need.

Layout in docs/format.md. Every size is bounded and checked before anything of that size is read. Version 2 is written;
3 with the image of a stereo recording, 4 with greys or alpha, 5 with a gain, 6 with sound that is said to be synthetic,
which earlier readers cannot know. Version 1, whose numbers have fixed sizes, is still read (`header_v1.py`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, TypeVar

from ..errors import FormatError
from ..fingerprint import FINGERPRINT_DIGITS
from .bitpacking import code_bits
from .header_v1 import MAGIC as OLD_MAGIC
from .header_v1 import old_fields
from .varint import get_varint, put_varint

MAGIC = b"\x89JOSIE"
VERSION, STEREO_VERSION, FORMS_VERSION, GAIN_VERSION, ORIGIN_VERSION = 2, 3, 4, 5, 6
SYNTHETIC = 1  # an origin
MAX_HEADER = 4096
MAX_STREAMS = 8
MAX_LEVELS = 64
MAX_NAME = 64
MAX_PATCHES = 8192  # in a row of them, and in a block
MAX_PIXELS = 1 << 28  # of a picture
MAX_LENGTH = 1 << 47
LENGTH_BYTES = 6  # always, so that a length that is known at the end has room
UNKNOWN_LENGTH = (1 << 48) - 1
MAX_GAIN = 63  # decibels, either way
ALPHA_NAME, ALPHA_VALUES = "alpha", 256  # of streams of alpha, which no model makes

Info = TypeVar("Info", bound="StreamInfo")


@dataclass(frozen=True)
class StreamInfo:
    """What every stream of a file has.

    Attributes:
        model: name of the model that made it, at most 64 bytes.
        fingerprint: the first 16 hex digits of the sha256 of that model's configuration and weights; only it can
            decode. May be given with all digits.
        levels: codebooks K that are stored.
        codebook_size: codes of each.
        length: exact number of samples or pictures; None if the writer was cut off before it was known.

    The codes of a stream come in units: frames of audio, rows of patches of vision.
    """

    kind: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    model: str
    fingerprint: str
    levels: int
    codebook_size: int
    length: int | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", self.fingerprint[:FINGERPRINT_DIGITS])

    @property
    def units(self) -> int | None:
        """Units that the length makes: frames (audio) or rows of patches (vision); None if it is not known."""
        raise FormatError(f"a stream of kind {self.kind!r} has no units")

    def with_length(self: Info, length: int) -> Info:
        """The same with another length."""
        return replace(self, length=length)


@dataclass(frozen=True)
class AudioInfo(StreamInfo):
    """A stream of audio.

    Attributes:
        sample_rate: samples per second of the decoded stream.
        frame_size: samples per frame.
        original_rate, original_channels: of the file that was encoded.
        image: whether it holds the stereo image of the stream of audio before it, which has the same length.
        gain: decibels by which the recording was amplified before it was coded; a decoder undoes it.
        synthetic: whether the file says that a machine spoke or made this sound; files of recordings say nothing.
    """

    kind: ClassVar[str] = "audio"
    unit: ClassVar[str] = "frame"
    sample_rate: int
    frame_size: int
    original_rate: int
    original_channels: int
    image: bool = False
    gain: int = 0
    synthetic: bool = False

    @property
    def units(self) -> int | None:
        """Frames that the length makes, the last one filled up; None if it is not known."""
        return None if self.length is None else -(-self.length // self.frame_size)

    @property
    def bitrate(self) -> float:
        """Bits per second of the codes alone, in fixed-length code words."""
        return self.levels * code_bits(self.codebook_size) * self.sample_rate / self.frame_size

    @property
    def scale(self) -> float:
        """What samples are multiplied by that were decoded from the codes alone, to be as loud as the recording."""
        return float(10 ** (-self.gain / 20))


@dataclass(frozen=True)
class VisionInfo(StreamInfo):
    """An image, or the pictures of a video.

    Attributes:
        width, height: of the pictures, in pixels.
        rate: pictures per second; 0 for an image.
        patch: side of a patch, in pixels.
        group: pictures in each frame group (GOP) after the first, which is the first picture alone.
        grey: whether red, green and blue are the same in all pixels.
    """

    kind: ClassVar[str] = "vision"
    unit: ClassVar[str] = "row"
    width: int
    height: int
    rate: Fraction
    patch: int
    group: int
    grey: bool = False

    @property
    def columns(self) -> int:
        """Patches side by side."""
        return -(-self.width // self.patch)

    @property
    def rows(self) -> int:
        """Rows of patches of a frame group."""
        return -(-self.height // self.patch)

    @property
    def groups(self) -> int | None:
        """Frame groups, the last one filled up; None if the length is not known."""
        if self.length is None:
            return None
        return 0 if self.length == 0 else 1 + -(-(self.length - 1) // self.group)

    @property
    def total_rows(self) -> int | None:
        """Rows of patches of all frame groups; None if the length is not known."""
        return None if self.groups is None else self.groups * self.rows

    @property
    def units(self) -> int | None:
        """`total_rows`."""
        return self.total_rows


@dataclass(frozen=True)
class AlphaInfo(StreamInfo):
    """The alpha of the image before it: how opaque each pixel is. Its units are rows of pixels.

    Attributes:
        width, height: of the image, in pixels.
    """

    kind: ClassVar[str] = "alpha"
    unit: ClassVar[str] = "row"
    width: int
    height: int

    @property
    def units(self) -> int | None:
        """Rows of pixels."""
        return None if self.length is None else self.length * self.height

    @staticmethod
    def of(picture: VisionInfo) -> AlphaInfo:
        """That of an image."""
        none = "0" * FINGERPRINT_DIGITS
        return AlphaInfo(ALPHA_NAME, none, 1, ALPHA_VALUES, picture.length, picture.width, picture.height)


AUDIO, VISION, IMAGE, ALPHA = 0, 1, 2, 3  # kinds of streams in the header; IMAGE from version 3 on, ALPHA from 4 on
GREY = 1  # a bit of the form of a picture, from version 4 on


def write_header(streams: Sequence[StreamInfo]) -> bytes:
    """The bytes of a header. Their number does not depend on the streams' lengths.

    Raises:
        FormatError: if a value does not fit.
    """
    if not 1 <= len(streams) <= MAX_STREAMS:
        raise FormatError(f"a file holds 1 to {MAX_STREAMS} streams, not {len(streams)}")
    body = b""
    for s in streams:
        check_limits(s)
    _check_companions(streams)
    version = _version(streams)
    for s in streams:
        name = s.model.encode()
        kind = {"vision": VISION, "alpha": ALPHA}.get(s.kind, IMAGE if is_image(s) else AUDIO)
        body += bytes([kind << 6 | s.levels - 1]) + put_varint(s.codebook_size) + bytes.fromhex(s.fingerprint)
        body += bytes([len(name)]) + name
        body += (UNKNOWN_LENGTH if s.length is None else s.length).to_bytes(LENGTH_BYTES, "little")
        body += b"".join(put_varint(number) for number in _numbers(s, version))
    data = MAGIC + bytes([version]) + put_varint(len(body)) + body
    return data + struct.pack("<I", zlib.crc32(data))


def _version(streams: Sequence[StreamInfo]) -> int:
    """The first version that has all of some streams."""
    sounds = [s for s in streams if isinstance(s, AudioInfo)]
    if any(s.gain or s.synthetic for s in sounds):
        return ORIGIN_VERSION if any(s.synthetic for s in sounds) else GAIN_VERSION
    if any(isinstance(s, AlphaInfo) or (isinstance(s, VisionInfo) and s.grey) for s in streams):
        return FORMS_VERSION
    return STEREO_VERSION if any(map(is_image, streams)) else VERSION


def _numbers(s: StreamInfo, version: int) -> tuple[int, ...]:
    """What is said of a stream of its kind."""
    if isinstance(s, AlphaInfo):
        return ()
    if isinstance(s, AudioInfo):
        gain = (MAX_GAIN + 1 + s.gain,) if version >= GAIN_VERSION else ()
        origin = (SYNTHETIC * s.synthetic,) if version >= ORIGIN_VERSION else ()
        return s.sample_rate, s.frame_size, s.original_rate, s.original_channels, *gain, *origin
    assert isinstance(s, VisionInfo)
    form = (GREY * s.grey,) if version >= FORMS_VERSION else ()
    return s.width, s.height, s.rate.numerator, s.rate.denominator, s.patch, s.group, *form


def read_header(data: bytes) -> tuple[list[StreamInfo], int]:
    """Parse the header at the start of `data` (its first `MAX_HEADER` bytes are enough).

    Returns:
        the streams, and the number of bytes that the header takes.

    Raises:
        FormatError: if this is no `.josie` file, one of a later version, or a damaged one.
    """
    if len(data) < 8 or data[:6] != MAGIC:
        raise FormatError("not a .josie file")
    old = data[:8] == OLD_MAGIC
    if not old and not VERSION <= data[6] <= ORIGIN_VERSION:
        raise FormatError(f"version {data[6]} of the format; this program knows versions 1 to {ORIGIN_VERSION}")
    size, position = (int.from_bytes(data[10:12], "little"), 12) if old else get_varint(data, 7, MAX_HEADER)
    end = position + size
    if end + 4 > min(len(data), MAX_HEADER):
        raise FormatError("the header is cut off or too long")
    if struct.unpack_from("<I", data, end)[0] != zlib.crc32(data[:end]):
        raise FormatError("the header is damaged (checksum)")
    try:
        version = 1 if old else data[6]
        fields = old_fields(data[:end]) if old else _fields(data[:end], position, version)
        most = VISION if version <= VERSION else IMAGE if version <= STEREO_VERSION else ALPHA
        if any(kind > most for kind, *_ in fields):
            raise FormatError("a stream of a kind that this version of the format does not have")
        streams = _stream_infos(fields)
    except (struct.error, IndexError, UnicodeDecodeError, ZeroDivisionError, ValueError):
        raise FormatError("the header is damaged") from None
    if not 1 <= len(streams) <= MAX_STREAMS:
        raise FormatError(f"{len(streams)} streams")
    _check_companions(streams)
    return streams, end + 4


def is_image(info: StreamInfo) -> bool:
    """Whether a stream is the image of a stereo recording."""
    return isinstance(info, AudioInfo) and info.image


def by_model(info: StreamInfo) -> bool:
    """Whether a model made a stream: not a stereo image, nor alpha."""
    return not is_image(info) and not isinstance(info, AlphaInfo)


def alpha_of(streams: Sequence[StreamInfo], index: int) -> int | None:
    """Index of the alpha that belongs to an image; None if it is opaque."""
    return index + 1 if index + 1 < len(streams) and isinstance(streams[index + 1], AlphaInfo) else None


def image_of(streams: Sequence[StreamInfo], index: int) -> int | None:
    """Index of the stereo image that belongs to a stream of audio; None if it is mono."""
    return index + 1 if index + 1 < len(streams) and is_image(streams[index + 1]) else None


def _check_companions(streams: Sequence[StreamInfo]) -> None:
    """Make sure that each stereo image follows a stream of audio that it fits, and each stream of alpha an image.

    Raises:
        FormatError: if it does not.
    """
    for before, own in zip([None, *streams], streams):
        if isinstance(own, AudioInfo) and own.image:
            same = all(getattr(before, n, -1) == getattr(own, n) for n in ("length", "sample_rate", "frame_size"))
            if not isinstance(before, AudioInfo) or before.image or not same:
                raise FormatError("a stereo image does not follow a stream of audio that it fits")
        elif isinstance(own, AlphaInfo):
            same = all(getattr(before, n, -1) == getattr(own, n) for n in ("width", "height", "length"))
            if not isinstance(before, VisionInfo) or before.rate or not same:
                raise FormatError("alpha does not follow an image that it fits")


def find_stream(streams: Sequence[StreamInfo], kind: str) -> int:
    """Index of the first stream of a kind.

    Raises:
        FormatError: if there is none.
    """
    for index, info in enumerate(streams):
        if info.kind == kind:
            return index
    raise FormatError(f"no {kind} stream in this file")


Fields = tuple[int, str, str, int, int, int | None, list[int]]


def _fields(data: bytes, position: int, version: int) -> list[Fields]:
    """Kind, model, fingerprint, levels, codebook size, length and the numbers of its kind, of each stream."""
    streams: list[Fields] = []
    while position < len(data):
        kind, levels = data[position] >> 6, 1 + (data[position] & 63)
        size, position = get_varint(data, position + 1, 1 << 16)
        fingerprint = data[position : position + FINGERPRINT_DIGITS // 2]
        position += len(fingerprint)
        name = data[position + 1 : position + 1 + data[position]]
        position += 1 + data[position]
        length = int.from_bytes(data[position : position + LENGTH_BYTES], "little")
        position += LENGTH_BYTES
        numbers = []
        sound, form = 4 + max(0, version - FORMS_VERSION), version >= FORMS_VERSION
        for _ in range((sound, 6 + form, sound, 0)[kind]):
            number, position = get_varint(data, position, (1 << 32) - 1)
            numbers.append(number)
        known = None if length == UNKNOWN_LENGTH else length
        streams.append((kind, name.decode(), fingerprint.hex(), levels, size, known, numbers))
    return streams


def _stream_infos(fields: list[Fields]) -> list[StreamInfo]:
    streams: list[StreamInfo] = []
    for kind, model, fingerprint, levels, size, length, numbers in fields:
        common = (model, fingerprint, levels, size, length)
        if kind == ALPHA:
            image = streams[-1] if streams else None
            if not isinstance(image, VisionInfo):
                raise FormatError("alpha does not follow an image that it fits")
            streams.append(AlphaInfo(*common, image.width, image.height))
        elif kind != VISION:
            rate, frame, original, channels, gain, origin = numbers + [MAX_GAIN + 1, 0][len(numbers) - 4 :]
            if origin > SYNTHETIC:
                raise FormatError(f"sound of an origin {origin} that is not known")
            gain -= MAX_GAIN + 1
            streams.append(AudioInfo(*common, rate, frame, original, channels, kind == IMAGE, gain, origin > 0))
        else:
            width, height, top, bottom, patch, group, *form = numbers
            if form and form[0] > GREY:
                raise FormatError(f"pictures of a form {form[0]} that is not known")
            streams.append(VisionInfo(*common, width, height, Fraction(top, bottom), patch, group, form == [GREY]))
        check_limits(streams[-1])
    return streams


def check_limits(s: StreamInfo) -> None:
    """Make sure that the format can hold a stream.

    Raises:
        FormatError: if it cannot.
    """
    limits: dict[str, tuple[int | Fraction, int, int]] = {
        "levels": (s.levels, 1, MAX_LEVELS),
        "codebook_size": (s.codebook_size, 2, 1 << 16),
        "length": (s.length or 0, 0, MAX_LENGTH),
        "name": (len(s.model.encode()), 1, MAX_NAME),
        "fingerprint": (len(s.fingerprint), FINGERPRINT_DIGITS, FINGERPRINT_DIGITS),
    }
    if isinstance(s, AudioInfo):
        limits |= {
            "sample_rate": (s.sample_rate, 1, 10_000_000),
            "frame_size": (s.frame_size, 1, 1 << 24),
            "original_rate": (s.original_rate, 1, 10_000_000),
            "original_channels": (s.original_channels, 1, (1 << 16) - 1),
            "gain": (s.gain, 0, 0) if s.image else (s.gain, -MAX_GAIN, MAX_GAIN),
            "origin": (int(s.synthetic), 0, 0 if s.image else SYNTHETIC),
        }
    elif isinstance(s, VisionInfo):
        if not 1 <= s.patch <= 255:
            raise FormatError(f"stream: patch {s.patch} is not in 1..255")
        limits |= {
            "width": (s.width, 1, 1 << 20),
            "height": (s.height, 1, 1 << 20),
            "pixels": (s.width * s.height, 1, MAX_PIXELS),
            "patches in a row": (s.columns, 1, MAX_PATCHES),
            "rate": (s.rate, 0, 1000),
            "rate's numerator": (s.rate.numerator, 0, (1 << 31) - 1),
            "rate's denominator": (s.rate.denominator, 1, (1 << 31) - 1),
            "group": (s.group, 1, 255),
            "rate of greys": (s.rate if s.grey else 0, 0, 0),
        }
    elif isinstance(s, AlphaInfo):
        limits |= {"levels": (s.levels, 1, 1), "values": (s.codebook_size, ALPHA_VALUES, ALPHA_VALUES)}
    else:
        raise FormatError(f"stream: unknown kind {type(s).__name__}")
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise FormatError(f"stream: {name} {value} is not in {low}..{high}")
    if not s.model.isprintable():
        raise FormatError("stream: the model's name is not printable")
