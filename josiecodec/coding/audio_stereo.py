"""From stereo recordings to `.josie` files: mix to mono and stereo image. `audio.decode_file` is the way back."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import IO

from ..atomic import write_bytes
from ..media.audio_open import Reading, SampleReader
from ..media.audio_stereo import stereo_blocks
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio import encode_file, kept_source
from .audio_coder import AudioCoder
from .result import Progress, Result
from .stereo import image_file, merged, room_for_mono


def encode_stereo(
    codec: AudioCoder,
    source: str | Path | IO[bytes],
    target: str | Path | IO[bytes],
    n_q: int | None = None,
    *,
    rate: Rate | None = None,
    settings: EncoderSettings | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> Result:
    """Encode an audio file of two channels to a `.josie` file with its stereo image, in bounded memory.

    A recording of another number of channels, or of two that are equally loud in all bands, becomes mono; more than
    two with a warning.

    Args:
        codec: the model.
        source: path of the audio, "-" for standard input, or a seekable binary file.
        target: path of the `.josie` file, or a seekable binary file.
        n_q: levels of the mix to mono.
        rate: what the whole file may take, in place of `n_q`.
        settings: of the encoder; None for those of the model.
        reading: how the audio is read.
        progress: is told the share that is done, now and then.

    Raises:
        CodesError, CodecError, MediaError: as `audio.encode_file`.
    """
    rate = fitting_rate("audio", n_q, rate)
    with kept_source(source) as kept:
        image = None
        with SampleReader(_rewound(kept), reading) as reader:
            if reader.channels == 2:
                info = codec.stream_info(1, None, reader.sample_rate, 2)
                image = image_file(stereo_blocks(reader, codec.sample_rate), info)
            elif reader.channels > 2:
                text = f"{source}: stereo has two channels, not {reader.channels}, which are mixed to one"
                warnings.warn(text, stacklevel=2)
        if image is not None and rate.kbps is not None:
            rate = Rate(kbps=room_for_mono(rate.kbps, image))
        out = io.BytesIO() if image is not None else target
        how = {"rate": rate, "settings": settings, "reading": reading, "progress": progress}
        done = encode_file(codec, _rewound(kept), out, **how)  # type: ignore[arg-type]
    if image is None or not isinstance(out, io.BytesIO):
        return done
    data = merged(out.getvalue(), image, codec.known_tables)
    if isinstance(target, (str, Path)):
        write_bytes(target, data)
    else:
        target.write(data)
    return Result(done.seconds, len(data), n_q=done.n_q, full=done.full)


def _rewound(source: str | Path | IO[bytes]) -> str | Path | IO[bytes]:
    """A source from its beginning."""
    if not isinstance(source, (str, Path)):
        source.seek(0)
    return source
