"""From stereo recordings to `.josie` files: mid and side, two streams of one file. `audio.decode_file` is the way back.

Each half is coded as a mono recording would be, with its share of the levels or bits (`stereo.py`); a first pass
through the samples says how loud the side is.
"""

from __future__ import annotations

import io
import warnings
from functools import partial
from pathlib import Path
from typing import IO

from ..atomic import write_bytes
from ..media.audio_reader import AudioReader, Reading
from ..media.audio_stereo import HalfReader, measure
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio import encode_file, kept_source
from .codec import Progress, Result
from .jodio import Jodio
from .stereo import SILENT_SIDE, merged, side_level, side_levels, side_share


def encode_stereo(
    codec: Jodio,
    source: str | Path | IO[bytes],
    target: str | Path | IO[bytes],
    n_q: int | None = None,
    *,
    rate: Rate | None = None,
    settings: EncoderSettings | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> Result:
    """Encode an audio file of two channels to a `.josie` file of mid and side, in bounded memory.

    A recording of another number of channels, or of two that are alike, becomes mono; the first with a warning.

    Args:
        codec: the model.
        source: path of the audio, "-" for standard input, or a seekable binary file.
        target: path of the `.josie` file, or a seekable binary file.
        n_q: levels of the mid; the side has fewer, by how loud it is.
        rate: what the whole file may take, in place of `n_q`.
        settings: of the encoder; None for those of the model.
        reading: how the audio is read.
        progress: is told the share that is done, now and then.

    Raises:
        CodesError, CodecError, MediaError: as `audio.encode_file`.
    """
    rate = fitting_rate("audio", n_q, rate)
    with kept_source(source) as kept:
        with _opened(kept, reading) as reader:
            channels = reader.channels
            image = measure(reader) if channels == 2 else None
        peak = image.peak if image and reading and reading.normalize else 0.0
        gain = 1 / peak if peak else None
        level = side_level(image.mid, image.side) if image else 0.0
        if image is None or level < SILENT_SIDE:
            if channels > 2:
                warnings.warn(f"{source}: stereo has two channels, not {channels}: mixed to mono", stacklevel=2)
            _rewound(kept)
            return encode_file(codec, kept, target, rate=rate, settings=settings, reading=reading, progress=progress)

        def half(side: bool, rate: Rate) -> tuple[bytes, Result]:
            out = io.BytesIO()
            done = encode_file(
                codec,
                _rewound(kept),
                out,
                rate=rate,
                settings=settings,
                reading=reading,
                progress=(lambda share: progress((share + side) / 2)) if progress else None,
                gain=gain or 1.0,
                opened=partial(HalfReader, side=side),
            )
            return out.getvalue(), done

        if rate.kbps is None:
            levels = codec.levels(rate.n_q, settings)
            mid, done = half(False, Rate(n_q=levels))
            side, other = half(True, Rate(n_q=side_levels(levels, level)))
        else:
            mid, done = half(False, Rate(kbps=rate.kbps * (1 - side_share(level))))
            taken = 8 * len(mid) / done.seconds / 1000 if done.seconds else 0.0
            side, other = half(True, Rate(kbps=rate.kbps - taken))
    data = merged(mid, side, codec.known_tables)
    if isinstance(target, (str, Path)):
        write_bytes(target, data)
    else:
        target.write(data)
    return Result(done.seconds, len(data), n_q=done.n_q, full=done.full and other.full)


def _rewound(source: str | Path | IO[bytes]) -> str | Path | IO[bytes]:
    """A source from its beginning."""
    if not isinstance(source, (str, Path)):
        source.seek(0)
    return source


def _opened(source: str | Path | IO[bytes], reading: Reading | None) -> AudioReader:
    return AudioReader(_rewound(source), reading)
