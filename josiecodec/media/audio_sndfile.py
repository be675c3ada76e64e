"""Sound that libsndfile reads: WAV, AIFF, AU, CAF, NIST, Ogg and others. Samples are counted, no length is believed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

from ..errors import MediaError
from .audio_bytes import Part
from .audio_frames import MAX_RATE, MIN_RATE, Sound, mono_weights
from .audio_layout import layout_of
from .audio_parts import Claim, fact_samples, read_claim

BLOCK = 1 << 16  # samples per channel read at a time
RAW = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")  # subtypes whose samples can be read without their header
CLAIMS = ("FLAC", "OGG")  # formats that can be longer than they claim
ADPCM = ("MS_ADPCM", "IMA_ADPCM")  # subtypes in blocks, the last of which is filled up
BURSTS = 1 << 15  # bytes in which a packet begins at least twice
_BITSTREAMS = (b"\x72\xf8\x1f\x4e", b"\xfe\x7f\x01\x80", b"\x7f\xfe\x80\x01", b"\xff\x1f\x00\xe8", b"\x1f\xff\xe8\x00")
_B_FORMAT = b"\x21\x07\xd3\x11\x86\x44\xc8\xc1\xca\0\0\0"  # end of the subtypes of ambisonics in WAVEFORMATEXTENSIBLE
FRONT = 4096  # bytes in which the format of a WAV stands
MAX_LENGTH = 1 << 40  # samples; what is more says "not known"


class NotForSndfile(Exception):
    """libsndfile cannot read this; FFmpeg may."""


class SndfileSource:
    """An open file of libsndfile; attributes as of `ContainerSource`.

    Args:
        source: path or seekable binary file.
        name: for messages.
        in_chunks: whether what follows behind the samples that the header names are more of them, of further chunks.

    Raises:
        NotForSndfile: if it cannot be opened, or is left to FFmpeg.
    """

    tracks, track, begin = 1, 1, 0.0

    def __init__(self, source: Any, name: str, in_chunks: bool = False):
        self.name, self._source, self._in_chunks = name, source, in_chunks
        claim = read_claim(source)  # before libsndfile has its place in the file
        self._part: Part | None = None
        try:
            self._file = soundfile.SoundFile(_name(source))
        except (soundfile.LibsndfileError, TypeError, RuntimeError, OSError):
            raise NotForSndfile from None
        file = self._file
        self.rate, self.channels = file.samplerate, file.channels
        self.codec = f"{file.format}/{file.subtype}".lower()
        self.lossy = not file.subtype.startswith((*RAW, "ALAC"))
        unseekable_gsm = file.subtype == "GSM610" and not file.seekable()  # of an odd number of bytes
        strange = file.format == "VOC" or (file.subtype == "PCM_16" and _is_bitstream(source, claim))  # read as noise
        if strange or file.subtype.startswith("MPEG") or unseekable_gsm or (file.format == "OGG" and self.channels > 2):
            self.close()
            raise NotForSndfile
        if not MIN_RATE <= self.rate <= MAX_RATE or self.channels < 1:
            self.close()
            raise MediaError(f"{name}: {self.rate} Hz with {self.channels} channels is no audio")
        self.length = file.frames if 0 <= file.frames < MAX_LENGTH else None
        self._end = MAX_LENGTH  # samples behind it are padding
        if file.subtype in ADPCM and self.length:
            told, block = fact_samples(source)
            if told and 0 < self.length - told < block:
                self.length = self._end = told
        self._use_header(claim)
        self.layout = _layout(source, self.channels)

    def _use_header(self, claim: Claim | None) -> None:
        """See whether there are more samples than the header says, or fewer."""
        file = self._file
        if self._in_chunks:
            said = "all of them are read" if file.subtype.startswith(RAW) else "the first is read"
            warnings.warn(f"{self.name}: its samples are in several chunks ('data'), {said}", stacklevel=2)
        if claim is None or not file.subtype.startswith(RAW):
            if not file.frames and _size(self._source) > 1024 and (claim is None or claim.unfinished):
                self.close()
                raise NotForSndfile
            return
        width = {"8": 1, "S8": 1, "U8": 1, "16": 2, "24": 3, "32": 4}.get(file.subtype.removeprefix("PCM_"), 0)
        width = width or {"FLOAT": 4, "DOUBLE": 8}.get(file.subtype, 1)
        frame = width * self.channels
        if (claim.unfinished or claim.claimed is None or self._in_chunks) and claim.there // frame > (self.length or 0):
            kind = file.subtype
            self._file.close()
            self._part = Part(self._source, [(claim.start, _size(self._source))])
            self._file = soundfile.SoundFile(
                self._part, "r", self.rate, self.channels, kind, "BIG" if claim.big_endian else "LITTLE", "RAW"
            )
            self.length = claim.there // frame
            if self._in_chunks:
                return
            told = (claim.claimed or 0) / frame / self.rate
            warnings.warn(
                f"{self.name}: its header was never finished: it names {told:.2f} s, there are "
                f"{self.length / self.rate:.2f} s, and all of them are read",
                stacklevel=2,
            )
        elif claim.claimed is not None and claim.claimed - claim.there > frame * self.rate / 10:
            warnings.warn(
                f"{self.name}: cut off: {claim.there / frame / self.rate:.2f} of "
                f"{claim.claimed / frame / self.rate:.2f} s are there",
                stacklevel=2,
            )

    def sounds(self, first: int = 0) -> Iterator[Sound]:
        """The samples from `first` on.

        Raises:
            NotForSndfile: if reading fails.
        """
        weights = mono_weights(self.layout, self.channels)
        try:
            if first > self._file.frames and self._file.format in CLAIMS:
                raise NotForSndfile
            left = self._end - first
            if self._file.seekable():  # also to 0: else libsndfile gives the priming samples of Opus, which are none
                self._file.seek(min(first, self._file.frames))
                first = 0
            while True:
                samples = self._file.read(out=np.empty((BLOCK, self.channels), np.float32))
                if not len(samples) or left <= 0:
                    return
                if len(samples) > first:
                    yield Sound(samples[first:][:left], weights)
                    left -= len(samples) - first
                first = max(first - len(samples), 0)
        except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError):
            raise NotForSndfile from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._part is not None:
            self._part.close()


def _name(source: Any) -> Any:
    """A path as libsndfile opens it even if it is not UTF-8; anything else as it is."""
    if hasattr(source, "seek"):
        source.seek(0)
    return os.fsencode(source) if isinstance(source, str) and os.name == "posix" else source


def _is_bitstream(source: Any, claim: Claim | None) -> bool:
    """Whether the samples of a WAV are packets of DTS, or of AC-3 and others as IEC 61937 wraps them for a cable."""
    if claim is None:
        return False
    with Part(source) as file:
        file.seek(claim.start)
        data = file.read(BURSTS)
    return any(data.count(start) > 1 for start in _BITSTREAMS)


def _size(source: Any) -> int:
    with Part(source) as file:
        return file.seek(0, os.SEEK_END)


def _layout(source: Any, channels: int) -> str:
    """The layout of more than two channels, as FFmpeg finds it in the header; B-format of WAV, which it does not know,
    by its mark."""
    if channels <= 2:
        return ("mono", "stereo")[channels - 1]
    with Part(source) as file:
        if _B_FORMAT in file.read(FRONT):
            return f"ambisonic, {channels} channels"
    import av

    try:
        with Part(source) as file, av.open(file) as container:
            name, found = layout_of(container.streams.audio[0])
            return name if found == channels else f"{channels} channels"
    except (av.FFmpegError, IndexError, ValueError, OSError):
        return f"{channels} channels"
