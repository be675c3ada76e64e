"""From audio files to `.josie` files and back, block by block in bounded memory."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..atomic import write_bytes
from ..audio.config import CHUNK_FRAMES
from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import AudioInfo, find_stream, image_of
from ..bitstream.marks import Mark
from ..errors import FormatError, MediaError
from ..media.audio_open import Reading, SampleReader, SampleResampler
from ..media.audio_writer import AudioWriter
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio_coder import AudioCoder
from .audio_piece import AudioPiece
from .audio_rate_control import PROBE_SECONDS, fit_levels, level_rates
from .layer_rate import Fitted
from .level import Level
from .result import Passes, Progress, Result
from .sample_decoder import SampleDecoder
from .stereo import placed_blocks
from .stretch import Stretch, seekable

MAX_IN_MEMORY = 1 << 26  # bytes of standard input; more goes to a temporary file


def encode_file(
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
    """Encode an audio file to a `.josie` file of one channel, block by block; `audio_stereo.py` makes those of two.

    A recording that is much quieter or louder than others is coded at the usual level, for which it is read once more;
    the header says so, and it comes back as loud as it was.

    With a rate in kbit/s the file is made with as many levels as fit it: of models by frame in one more pass through
    the audio (two if it is longer than 20 minutes), of others in one to three.

    Args:
        codec: the model.
        source: path of the audio, "-" for standard input, or a seekable binary file.
        target: path of the `.josie` file, or a seekable binary file.
        n_q: levels, of which those that no decoder would use are left out (`JodioConfig.useful_levels`); None for those
            of the settings, or of `rate`.
        rate: what the file may take, in place of `n_q`.
        settings: of the encoder; None for those of the model.
        reading: how the audio is read: which track, whether to salvage, whether to scale it to full scale.
        progress: is told the share that is done, now and then.

    Raises:
        CodesError: if `n_q` is out of range.
        CodecError: if both `n_q` and `rate` are given, a rate that audio cannot have or keep, or if `target` cannot be
            written.
        MediaError: if the audio cannot be read. Nothing is left at `target` then.
    """
    rate = fitting_rate("audio", n_q, rate)
    with _reopening(source, reading) as reopen:
        level = Level.of(codec, reopen, reading)
        if rate.kbps is None:
            levels = codec.config.useful_levels(codec.levels(rate.n_q, settings))
            with reopen() as reader:
                return _encode(codec, reader, target, levels, settings, progress, level)

        passes = Passes(progress)

        def encode(levels: int) -> tuple[bytes, float]:
            out = io.BytesIO()
            with reopen() as reader:
                done = _encode(codec, reader, out, levels, settings, passes.another(), level)
            return out.getvalue(), done.seconds

        fitted, levels = None, codec.n_q
        if codec.by_frame:
            fitted = _fit_layers(codec, reopen, rate.kbps, settings, passes, level)
            levels = codec.base_levels if fitted is None else levels
        if fitted is None:
            with reopen() as reader:
                blocks = level.samples(reader, codec.sample_rate, PROBE_SECONDS)
                probe = np.concatenate([codes for _, codes in encode_blocks(codec, blocks, levels, settings)])
            rates = level_rates(probe, codec.codebook_size, codec.frame_rate, codec.tables)
            levels, data = fit_levels(encode, rates, rate.kbps, codec.config.useful_levels)
            fitted = Fitted(data, levels == codec.n_q)
    passes.finish()
    data = fitted.data
    if isinstance(target, (str, Path)):
        write_bytes(target, data)
    else:
        target.write(data)
    with TokenReader(data, codes=False) as file:
        return Result((file.streams[0].length or 0) / codec.sample_rate, len(data), n_q=levels, full=fitted.full)


def _encode(
    codec: AudioCoder,
    reader: SampleReader,
    target: str | Path | IO[bytes],
    n_q: int,
    settings: EncoderSettings | None,
    progress: Progress | None,
    level: Level,
) -> Result:
    """One pass of `encode_file`."""
    info = level.put(codec.stream_info(n_q, None, reader.sample_rate, min(reader.channels, 65535)))
    expected = (reader.length or 0) * codec.sample_rate / reader.sample_rate
    with TokenWriter(target, [info], codec.known_tables) as writer:
        length = 0
        marker = Marker(codec, writer, 0)
        blocks = encode_blocks(codec, level.samples(reader, codec.sample_rate), n_q, settings, marker)
        for chunk, codes in blocks:
            writer.add(0, codes)
            length += chunk
            if progress and expected:
                progress(min(length / expected, 1.0))
        writer.close([length])
    return Result(length / codec.sample_rate, writer.size, n_q=n_q)


@contextlib.contextmanager
def _reopening(source: str | Path | IO[bytes], reading: Reading | None) -> Iterator[Callable[[], SampleReader]]:
    """What opens a source anew as often as it is called; standard input is kept meanwhile."""
    with kept_source(source) as kept:

        def reopen() -> SampleReader:
            if not isinstance(kept, (str, Path)):
                kept.seek(0)
            return SampleReader(kept, reading)

        yield reopen


class _StandardInput(tempfile.SpooledTemporaryFile):
    """What standard input gave, under its name in messages."""

    name = "standard input"


@contextlib.contextmanager
def kept_source(source: str | Path | IO[bytes]) -> Iterator[str | Path | IO[bytes]]:
    """A source that can be read more than once: itself, or what standard input gave."""
    if str(source) != "-":
        yield source
        return
    with _StandardInput(MAX_IN_MEMORY) as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        yield kept


class Marker:
    """Puts marks into a file, of where its decoder is (`bitstream/marks.py`).

    Args:
        codec: the model.
        writer: of the file.
        stream: index of the stream of audio.
    """

    def __init__(self, codec: AudioCoder, writer: TokenWriter, stream: int):
        self.codec, self.writer, self.stream = codec, writer, stream

    def __call__(self, frame: int, phase: int | None) -> None:
        """Note the phase of the pulse train before a frame."""
        if phase is not None and frame:
            self.writer.mark(self.stream, frame, Mark(self.codec.base_levels, phase))


def encode_blocks(
    codec: AudioCoder,
    blocks: Iterable[Any],
    n_q: int,
    settings: EncoderSettings | None = None,
    marker: Callable[[int, int | None], None] | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Sample blocks, arrays or tensors [n] -> (samples taken in, codes [frames, n_q]).

    Marks are made before the codes behind them come.
    """
    stream = codec.array_encoder(n_q, settings)
    frames = 0
    for part in _regrouped(map(np.asarray, blocks), CHUNK_FRAMES * codec.frame_size):
        found = stream.encode(part)
        frames += len(found)
        if marker is not None:
            marker(frames, stream.phase)
        yield len(part), found
    yield 0, stream.flush()


def _fit_layers(
    codec: AudioCoder,
    reopen: Callable[[], SampleReader],
    kbps: float,
    settings: EncoderSettings | None,
    passes: Passes,
    level: Level,
) -> Fitted | None:
    """`Jodio.fit_layers` of a file, block by block."""
    length, info = 0, codec.stream_info(codec.n_q, None)
    phases: dict[int, int | None] = {}

    def pieces() -> Iterator[Any]:  # of `LayerInput`
        nonlocal length, info
        progress = passes.another()
        with reopen() as reader:
            info = level.put(codec.stream_info(codec.n_q, None, reader.sample_rate, min(reader.channels, 65535)))
            expected = (reader.length or 0) * codec.sample_rate / reader.sample_rate
            parts = _regrouped(level.samples(reader, codec.sample_rate), CHUNK_FRAMES * codec.frame_size)
            length = 0

            def blocks() -> Iterator[np.ndarray]:
                nonlocal length
                for part in parts:
                    length += len(part)
                    yield part[None, None]

            frames = 0
            for piece in codec.layer_inputs(blocks(), settings):
                frames += piece.codes.shape[-1]
                phases[frames] = piece.phase
                yield piece
                if progress and expected:
                    progress(min(length / expected, 1.0))

    def write(codes: np.ndarray) -> tuple[bytes, float]:
        out = io.BytesIO()
        with TokenWriter(out, [info], codec.known_tables) as writer:
            marker = Marker(codec, writer, 0)
            for frame, phase in phases.items():
                if frame < len(codes):
                    marker(frame, phase)
            writer.add(0, codes)
            writer.close([length])
        return out.getvalue(), length / codec.sample_rate

    return codec.fit_layers(pieces, write, kbps, settings)


def _regrouped(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in pieces of `size` (the last one shorter)."""
    waiting: list[np.ndarray] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= size:
            joined = np.concatenate(waiting)
            whole = count // size * size
            yield from (joined[first : first + size] for first in range(0, whole, size))
            waiting, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(waiting)


def decode_file(
    codec: AudioCoder,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None = None,
    sample_rate: int | None = None,
    salvage: bool = False,
    progress: Progress | None = None,
    mono: bool = False,
    stretch: Stretch | None = None,
) -> Result:
    """Decode the audio of a `.josie` file to an audio file, block by block.

    Args:
        codec: the model that made it.
        source: the file.
        target: path of the audio file, whose suffix says the format; "-" for WAV on standard output.
        n_q: use at most so many levels.
        sample_rate: of the audio file; None for the codec's own.
        salvage: make do with what is whole in a damaged file; gaps become silence.
        progress: is told the share that is done, now and then.
        mono: of a stereo recording, leave out the stereo image.
        stretch: what of it is wanted, see `AudioPiece`; None for all.

    Raises:
        PastTheEnd: if the stretch begins behind the end.
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
        MediaError: if the audio cannot be written.
    """
    rate = codec.sample_rate if sample_rate is None else sample_rate
    if rate < 1:
        raise MediaError(f"sample rates are positive, not {rate}")
    if stretch is not None and not stretch.whole:
        return _decode_piece(codec, seekable(source), target, n_q, rate, salvage, progress, mono, stretch)
    with TokenReader(source, codec.known_tables) as reader:
        index = find_stream(reader.streams, "audio")
        info = codec.check_stream(reader.streams[index])
        place = None if mono else image_of(reader.streams, index)
        channels = 1 if place is None else 2
        resamplers = [SampleResampler(codec.sample_rate, rate) for _ in range(channels)]
        written = 0
        with AudioWriter(target, rate, channels) as writer:
            decoder = SampleDecoder(codec, info, n_q, salvage)
            for part in _channels(reader, index, decoder, place, salvage):
                written += part.shape[1]
                writer.write(_resampled(resamplers, part))
                if progress and info.length:
                    progress(written / info.length)
            if salvage and not written and info.length != 0:
                raise FormatError("no block of it is whole: there is nothing to salvage")
            writer.write(_resampled(resamplers, np.zeros((channels, 0), np.float32), last=True))
        size = Path(target).stat().st_size if str(target) != "-" else 0
        return Result(written / codec.sample_rate, size, (*reader.problems, *decoder.problems))


def _decode_piece(
    codec: AudioCoder,
    source: str | Path | bytes | IO[bytes],
    target: str | Path,
    n_q: int | None,
    rate: int,
    salvage: bool,
    progress: Progress | None,
    mono: bool,
    stretch: Stretch,
) -> Result:
    """`decode_file` of a stretch."""
    with TokenReader(source, codec.known_tables) as reader:
        index = find_stream(reader.streams, "audio")
        piece = AudioPiece(codec, reader, index, stretch, n_q, salvage, mono)
        written, expected = 0, (piece.last - piece.first) * rate / codec.sample_rate
        with AudioWriter(target, rate, piece.channels) as writer:
            for part in piece.samples(rate):
                written += part.shape[1]
                writer.write(part)
                if progress and expected:
                    progress(min(written / expected, 1.0))
        size = Path(target).stat().st_size if str(target) != "-" else 0
        return Result(written / rate, size, (*reader.problems, *piece.problems))


def _channels(
    reader: TokenReader, index: int, decoder: SampleDecoder, place: int | None, salvage: bool
) -> Iterator[np.ndarray]:
    """The samples of a stream [1, n], or left and right [2, n] with the stereo image that lies in another stream."""
    blocks = reader.blocks(salvage)
    info = reader.streams[place] if place is not None else None
    if place is not None and isinstance(info, AudioInfo):
        yield from placed_blocks(blocks, info, place, index, decoder, salvage)
        return
    for block in blocks:
        if block.stream == index:
            yield from (part[None] for part in decoder.push(block))
    yield from (part[None] for part in decoder.finish())


def _resampled(resamplers: list[SampleResampler], part: np.ndarray, last: bool = False) -> np.ndarray:
    return np.stack([resampler(np.ascontiguousarray(row), last=last) for resampler, row in zip(resamplers, part)])
