"""Where the sound of a track begins and ends: padding of encoders that FFmpeg leaves in, or sound that it cuts off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .audio_clock import Clock
from .audio_frames import Sound

MP4 = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's name for the family
NO_DELAY = frozenset(
    ["aac", "loas", "mpegts", "flv", "avi", "live_flv"]
)  # containers that cannot tell an encoder's delay
LAME_DELAY = 1105  # samples of MP3 as nearly all encoders make it, with the 529 of every decoder
OPUS_DELAY = 312  # samples at 48 kHz of libopus
EXACT = frozenset([MP4, "flac", "caf", "wv", "tta", "ape", "aiff", "ogg", "avi", "asf"])  # lengths can be relied on
ALONE = frozenset(["matroska,webm", "flv"])  # the length of the file, if there is but one track
FORGETFUL = ("mp3", "flac", "alac", "pcm")  # codecs without random noise, which would depend on what came before
CHECKED = frozenset(["flac", "wavpack", "tta"])
MAX_PADDING = 3 * 2048  # samples that a file may cut off its end; a claim to more is not believed
HELD = 1 << 13  # samples that are kept back until it is known where the end is
MOVIE_TICK = 1 / 600  # seconds; lengths in edit lists are rounded to such


class Ends:
    """Beginning and end of a track of sound.

    Attributes:
        can_jump: whether decoding from a packet on gives to the bit what decoding from the beginning gives there.
        promised: seconds that the file has by what can be relied on in its headers; None if there is nothing.
        last: end of the last packet so far, in ticks of the track; for the reader to set.
    """

    def __init__(self, container: Any, stream: Any):
        from av.codec.context import Flags2

        self.stream = stream
        self.format, self.codec = container.format.name, stream.codec_context.name
        self.metadata = {**container.metadata, **stream.metadata}
        self.last: int | None = None
        ticks = 1 / stream.time_base / (stream.rate or 1) if stream.time_base else 0
        self.can_jump = bool(ticks) and ticks.denominator == 1 and self.codec.startswith(FORGETFUL)
        self.promised = self._promised(container)
        if self.codec in CHECKED:  # their frames carry checksums; else damage is noise
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        # FFmpeg takes off twice what the encoder of WMA has put in front, and what ALAC in CAF has not put behind
        self._by_hand = self.codec in ("wmav1", "wmav2") or (self.format, self.codec) == ("caf", "alac")
        if self._by_hand:
            stream.codec_context.flags2 |= Flags2.skip_manual

    def _promised(self, container: Any) -> float | None:
        stream = self.stream
        lame = self.format == "mp3" and bool(stream.start_time)  # there is the header of an encoder
        packets = (self.format, self.codec) == ("aiff", "gsm")  # their number, or that of samples, by who wrote it
        if (self.format in EXACT or lame) and not packets and stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self.format in ALONE and len(container.streams) == 1 and container.duration:
            begin = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
            return float(container.duration / 1e6) - max(begin, 0.0)  # such files count from 0, wherever they begin
        return None

    def lead(self, frame: Any) -> int:
        """Samples of encoder delay at the beginning, given the first frame; those that FFmpeg leaves in."""
        if self.codec in ("wmav1", "wmav2"):
            return int(frame.samples)
        if self.format not in NO_DELAY:
            return 0
        if self.codec in ("aac", "aac_latm"):
            return int(frame.samples)  # the first frame of AAC is half a window: in no case sound
        if self.codec.startswith("mp3"):
            return LAME_DELAY if self.format != "mpegts" else 0
        return OPUS_DELAY * int(frame.sample_rate) // 48000 if self.codec in ("opus", "libopus") else 0

    def limit(self, rate: int) -> int | None:
        """Samples from the first frame on that are sound by what the file says; None if it does not say."""
        count = self._apple_count()
        if count is not None:
            return count
        stream = self.stream
        if self.format != MP4 or self.last is None or not stream.time_base:
            return None
        first = stream.start_time or 0
        packets = float((self.last - first) * stream.time_base)
        edited = float(stream.duration * stream.time_base) if stream.duration and not first else packets
        return round((edited if packets - edited > MOVIE_TICK else packets) * rate)

    def _apple_count(self) -> int | None:
        """Samples by what iTunes writes beside the sound."""
        fields = [] if self.format != MP4 else str(self.metadata.get("iTunSMPB", "")).split()
        try:
            return int(fields[3], 16) or None
        except (IndexError, ValueError):
            return None

    def cut(self, sounds: Iterator[Sound], clock: Clock) -> Iterator[Sound]:
        """The same without padding at the end, if there is some."""
        held: list[Sound] = []
        count = kept = 0
        for sound in sounds:
            held.append(sound)
            count += len(sound.samples)
            kept += len(sound.samples)
            while kept - len(held[0].samples) >= HELD:
                kept -= len(held[0].samples)
                yield held.pop(0)
        limit = self.limit(clock.rate)
        padding = 0 if limit is None else clock.first + count - limit
        room = kept - padding if 0 < padding <= MAX_PADDING else kept
        for sound in held:
            if room > 0:
                yield Sound(sound.samples[:room], sound.weights)
            room -= len(sound.samples)
