"""Writing audio files block by block, whole or not at all."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile

from ..atomic import PendingFile
from ..errors import MediaError

# suffix -> libsndfile format and subtype
_SNDFILE = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aiff": ("AIFF", "PCM_16"),
    ".w64": ("W64", "PCM_16"),
    ".rf64": ("RF64", "PCM_16"),
}
# suffix -> FFmpeg container and encoder
_FFMPEG = {
    ".m4a": ("ipod", "aac"),
    ".mp4": ("mp4", "aac"),
    ".mka": ("matroska", "flac"),
    ".webm": ("webm", "libopus"),
}
WRITABLE = (*_SNDFILE, *_FFMPEG)


class AudioWriter:
    """An audio file being written; the suffix of its name says in what format.

    The file appears under its name only on `close` after everything went well; use it in a `with`
    block, and an exception leaves nothing behind. "-" writes a WAV to standard output.

    Args:
        path: where to.
        sample_rate: of the samples that will come.
        channels: 1 or 2 (left, right).

    Raises:
        MediaError: if the format is unknown or the file cannot be written.
    """

    def __init__(self, path: str | Path, sample_rate: int, channels: int = 1):
        self.to_stdout = str(path) == "-"
        self.path = Path(path)
        self.sample_rate, self.channels = sample_rate, channels
        self.layout = "mono" if channels == 1 else "stereo"
        suffix = ".wav" if self.to_stdout else self.path.suffix.lower()
        if suffix not in WRITABLE:
            raise MediaError(f"{path}: audio cannot be written as {suffix or 'a file without a suffix'!r}")
        self._pending = None if self.to_stdout else PendingFile(self.path)
        self._spool: IO[bytes] | None = tempfile.TemporaryFile() if self.to_stdout else None
        self._soundfile: Any = None
        self._container: Any = None
        target: Any = self._spool if self._pending is None else str(self._pending.temporary)
        try:
            if suffix in _SNDFILE:
                kind, subtype = _SNDFILE[suffix]
                self._soundfile = soundfile.SoundFile(target, "w", sample_rate, channels, subtype=subtype, format=kind)
            else:
                self._open_container(target, *_FFMPEG[suffix])
        except (soundfile.LibsndfileError, OSError, ValueError, RuntimeError) as error:
            self.abort()
            raise MediaError(f"{path}: cannot be written ({error})") from None

    def _open_container(self, target: str, kind: str, codec: str) -> None:
        import av

        self._container = av.open(target, "w", format=kind)
        # Opus knows 48 kHz and its divisors only; FFmpeg resamples
        rate = 48000 if codec == "libopus" else self.sample_rate
        self._stream = self._container.add_stream(codec, rate=rate, layout=self.layout)
        self._written = 0

    def write(self, samples: Any) -> None:
        """Append samples [n] or [channels, n] in [-1, 1], an array or a tensor; what lies beyond is clipped."""
        plain = samples.detach().cpu().numpy() if hasattr(samples, "detach") else samples
        block = np.clip(plain.reshape(self.channels, -1).T, -1, 1)
        if not len(block):
            return
        try:
            if self._soundfile is not None:
                self._soundfile.write(_rounded(block) if self._soundfile.subtype == "PCM_16" else block)
            else:
                self._encode(block)
        except (soundfile.LibsndfileError, OSError, ValueError, RuntimeError) as error:
            raise MediaError(f"{self.path}: cannot be written ({error})") from None

    def _encode(self, block: np.ndarray) -> None:
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T, np.float32), format="fltp", layout=self.layout)
        frame.sample_rate = self.sample_rate
        frame.pts = self._written
        self._written += len(block)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            if self._container is not None and not self._written:
                self._encode(np.zeros((1024, self.channels), np.float32))  # a file without a frame is no file
            if self._soundfile is not None:
                self._soundfile.close()
            else:
                self._container.mux(self._stream.encode(None))
                self._container.close()
            if self._pending is not None:
                self._pending.commit()
            elif self._spool is not None:
                self._spool.seek(0)
                shutil.copyfileobj(self._spool, sys.stdout.buffer)
                sys.stdout.buffer.flush()
                self._spool.close()
        except (soundfile.LibsndfileError, OSError, ValueError, RuntimeError) as error:
            self.abort()
            raise MediaError(f"{self.path}: cannot be written ({error})") from None

    def abort(self) -> None:
        """Throw away what was written."""
        for thing in (self._soundfile, self._container, self._spool):
            try:
                if thing is not None:
                    thing.close()
            except (OSError, ValueError, RuntimeError):
                pass  # it is thrown away anyway
        if self._pending is not None:
            self._pending.discard()

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def _rounded(block: np.ndarray) -> np.ndarray:
    """Samples as 16-bit numbers, to the nearest: libsndfile rounds down in some formats (WAV, AIFF)."""
    return np.clip(np.rint(block * np.float32(32768)), -32768, 32767).astype(np.int16)
