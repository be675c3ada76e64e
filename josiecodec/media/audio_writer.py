"""Writing sound files block by block, whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from torch import Tensor

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


class SoundWriter:
    """A sound file being written; the suffix of its name says in what format.

    The file appears under its name only on `close` after everything went well; use it in a `with`
    block, and an exception leaves nothing behind. "-" writes a WAV to standard output.

    Args:
        path: where to.
        sample_rate: of the samples that will come.

    Raises:
        MediaError: if the format is unknown or the place cannot be written to.
    """

    def __init__(self, path: str | Path, sample_rate: int):
        self.to_stdout = str(path) == "-"
        self.path = Path(path)
        self.sample_rate = sample_rate
        suffix = ".wav" if self.to_stdout else self.path.suffix.lower()
        if suffix not in WRITABLE:
            raise MediaError(f"{path}: sound cannot be written as {suffix or 'a file without a suffix'!r}")
        if self.to_stdout:
            handle, name = tempfile.mkstemp(suffix=".wav")
            os.close(handle)
            self.temporary = Path(name)
        else:
            self.temporary = self.path.with_name(f".{self.path.stem}.{os.getpid()}.tmp{suffix}")
        self._sound: Any = None
        self._container: Any = None
        try:
            if suffix in _SNDFILE:
                kind, subtype = _SNDFILE[suffix]
                self._sound = soundfile.SoundFile(
                    str(self.temporary), "w", sample_rate, 1, subtype=subtype, format=kind
                )
            else:
                self._open_container(*_FFMPEG[suffix])
        except (soundfile.LibsndfileError, OSError, ValueError, RuntimeError) as error:
            self.abort()
            raise MediaError(f"{path}: cannot be written ({error})") from None

    def _open_container(self, kind: str, codec: str) -> None:
        import av

        self._container = av.open(str(self.temporary), "w", format=kind)
        # Opus knows 48 kHz and its divisors only; let FFmpeg bring the sound there
        rate = 48000 if codec == "libopus" else self.sample_rate
        self._stream = self._container.add_stream(codec, rate=rate, layout="mono")
        self._written = 0

    def write(self, samples: Tensor) -> None:
        """Append [n] or [1, n] samples in [-1, 1]; what lies beyond is clipped."""
        block = samples.detach().reshape(-1).clamp(-1, 1).cpu().numpy()
        if not len(block):
            return
        try:
            if self._sound is not None:
                self._sound.write(block)
            else:
                self._encode(block)
        except (soundfile.LibsndfileError, OSError, ValueError, RuntimeError) as error:
            raise MediaError(f"{self.path}: cannot be written ({error})") from None

    def _encode(self, block: np.ndarray) -> None:
        import av

        frame = av.AudioFrame.from_ndarray(block[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = self.sample_rate
        frame.pts = self._written
        self._written += len(block)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            if self._container is not None and not self._written:
                self._encode(np.zeros(1024, np.float32))  # a file without a frame is no file
            if self._sound is not None:
                self._sound.close()
            else:
                self._container.mux(self._stream.encode(None))
                self._container.close()
            if self.to_stdout:
                with open(self.temporary, "rb") as f:
                    shutil.copyfileobj(f, sys.stdout.buffer)
                sys.stdout.buffer.flush()
                self.temporary.unlink()
            else:
                os.replace(self.temporary, self.path)
        except (soundfile.LibsndfileError, OSError, ValueError, RuntimeError) as error:
            self.abort()
            raise MediaError(f"{self.path}: cannot be written ({error})") from None

    def abort(self) -> None:
        """Throw away what was written."""
        for thing in (self._sound, self._container):
            try:
                if thing is not None:
                    thing.close()
            except (OSError, ValueError, RuntimeError):
                pass  # it is thrown away anyway
        self.temporary.unlink(missing_ok=True)

    def __enter__(self) -> SoundWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
