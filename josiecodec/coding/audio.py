"""From audio files to `.josie` files and back, block by block in bounded memory."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ..atomic import write_bytes
from ..audio.layers import LayerInput
from ..audio.network import CHUNK_FRAMES
from ..audio.resume import phase_of
from ..bitstream.container import TokenReader, TokenWriter
from ..bitstream.header import AudioInfo, find_stream, image_of
from ..bitstream.marks import Mark
from ..errors import FormatError, MediaError
from ..media.audio_reader import AudioReader, Reading, StreamResampler
from ..media.audio_writer import AudioWriter
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio_decoder import BlockDecoder
from .audio_piece import AudioPiece
from .audio_rate_control import PROBE_SECONDS, fit_levels, level_rates
from .codec import Progress, Result
from .jodio import Jodio
from .layer_rate import Fitted
from .stereo import ImageDecoder
from .stretch import Stretch, seekable

MAX_IN_MEMORY = 1 << 26  # bytes of standard input; more goes to a temporary file


def encode_file(
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
    """Encode an audio file to a `.josie` file of one channel, block by block; `audio_stereo.py` makes those of two.

    With a rate in kbit/s the file is made with as many levels as fit it: of models by frame in one pass through the
    audio (two if it is longer than 20 minutes), of others in one to three.

    Args:
        codec: the model.
        source: path of the audio, "-" for standard input, or a seekable binary file.
        target: path of the `.josie` file, or a seekable binary file.
        n_q: levels, of which those that no decoder would use are left out (`JodioConfig.useful_levels`); None for those
            of the settings, or of `rate`.
        rate: what the file may take, in place of `n_q`.
        settings: of the encoder; None for those of the model.
        reading: how the audio is read: which track, whether to salvage, whether to scale it to full scale.
        progress: is told the share that is done, now and then; of every pass.

    Raises:
        CodesError: if `n_q` is out of range.
        CodecError: if both `n_q` and `rate` are given, a rate that audio cannot have or keep, or if `target` cannot be
            written.
        MediaError: if the audio cannot be read. Nothing is left at `target` then.
    """
    rate = fitting_rate("audio", n_q, rate)
    if rate.kbps is None and not (reading and reading.normalize):
        levels = codec.config.useful_levels(codec.levels(rate.n_q, settings))
        with AudioReader(source, reading) as reader:
            return _encode(codec, reader, target, levels, settings, progress)
    with _reopening(source, reading) as reopen:
        gain = normalizing_gain(reopen) if reading and reading.normalize else 1.0
        if rate.kbps is None:
            levels = codec.config.useful_levels(codec.levels(rate.n_q, settings))
            with reopen() as reader:
                return _encode(codec, reader, target, levels, settings, progress, gain)

        def encode(levels: int) -> tuple[bytes, float]:
            out = io.BytesIO()
            with reopen() as reader:
                done = _encode(codec, reader, out, levels, settings, progress, gain)
            return out.getvalue(), done.seconds

        fitted, levels = None, codec.n_q
        if codec.by_frame:
            fitted = _fit_layers(codec, reopen, rate.kbps, settings, progress, gain)
            levels = codec.base_levels if fitted is None else levels
        if fitted is None:
            with reopen() as reader:
                blocks = reader.mono(codec.sample_rate, 0.0, PROBE_SECONDS, gain=gain)
                probe = np.concatenate([codes for _, codes in encode_blocks(codec, blocks, levels, settings)])
            rates = level_rates(probe, codec.codebook_size, codec.frame_rate, codec.tables)
            levels, data = fit_levels(encode, rates, rate.kbps, codec.config.useful_levels)
            fitted = Fitted(data, levels == codec.n_q)
    data = fitted.data
    if isinstance(target, (str, Path)):
        write_bytes(target, data)
    else:
        target.write(data)
    with TokenReader(data, codes=False) as file:
        return Result((file.streams[0].length or 0) / codec.sample_rate, len(data), n_q=levels, full=fitted.full)


def _encode(
    codec: Jodio,
    reader: AudioReader,
    target: str | Path | IO[bytes],
    n_q: int,
    settings: EncoderSettings | None,
    progress: Progress | None,
    gain: float = 1.0,
) -> Result:
    """One pass of `encode_file`."""
    info = codec.stream_info(n_q, None, reader.sample_rate, min(reader.channels, 65535))
    expected = (reader.length or 0) * codec.sample_rate / reader.sample_rate
    with TokenWriter(target, [info], codec.known_tables) as writer:
        length = 0
        marker = Marker(codec, writer, 0)
        blocks = encode_blocks(codec, reader.mono(codec.sample_rate, gain=gain), n_q, settings, marker)
        for chunk, codes in blocks:
            writer.add(0, codes)
            length += chunk
            if progress and expected:
                progress(min(length / expected, 1.0))
        writer.close([length])
    return Result(length / codec.sample_rate, writer.size, n_q=n_q)


def normalizing_gain(reopen: Callable[[], AudioReader]) -> float:
    """The factor that brings the highest sample of a recording to full scale; 1 if it is silent."""
    with reopen() as reader:
        peak = reader.peak()
    return 1.0 / peak if peak > 0 else 1.0


@contextlib.contextmanager
def _reopening(source: str | Path | IO[bytes], reading: Reading | None) -> Iterator[Callable[[], AudioReader]]:
    """What opens a source anew as often as it is called; standard input is kept meanwhile."""
    with kept_source(source) as kept:

        def reopen() -> AudioReader:
            if not isinstance(kept, (str, Path)):
                kept.seek(0)
            return AudioReader(kept, reading)

        yield reopen


@contextlib.contextmanager
def kept_source(source: str | Path | IO[bytes]) -> Iterator[str | Path | IO[bytes]]:
    """A source that can be read more than once: itself, or what standard input gave."""
    if str(source) != "-":
        yield source
        return
    with tempfile.SpooledTemporaryFile(MAX_IN_MEMORY) as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        yield kept


class Marker:
    """Puts marks into a file, of where its decoder is (`bitstream/marks.py`).

    Args:
        codec: the model.
        writer: of the file.
        stream: index of the stream of audio.
    """

    def __init__(self, codec: Jodio, writer: TokenWriter, stream: int):
        self.codec, self.writer, self.stream = codec, writer, stream

    def __call__(self, frame: int, phase: int | None) -> None:
        """Note the phase of the pulse train before a frame."""
        if phase is not None and frame:
            self.writer.mark(self.stream, frame, Mark(self.codec.base_levels, phase))


def encode_blocks(
    codec: Jodio,
    blocks: Iterator[Tensor],
    n_q: int,
    settings: EncoderSettings | None = None,
    marker: Callable[[int, int | None], None] | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Sample blocks -> (samples taken in, codes [frames, n_q]); marks are made before the codes behind them come."""
    if not codec.config.causal:  # has to see everything at once
        wave = torch.cat([*blocks, torch.zeros(0)])
        codes = codec.encode(wave.to(codec.device), n_q, settings)
        yield len(wave), codes[0].t().cpu().numpy()
        return
    stream = codec.streaming(n_q=n_q, settings=settings)
    frames = 0
    for part in _regrouped(blocks, CHUNK_FRAMES * codec.frame_size):
        found = stream.encode(part[None, None].to(codec.device))[0].t().cpu().numpy()
        frames += len(found)
        if marker is not None:
            marker(frames, phase_of(codec, stream.encoder_state))
        yield len(part), found
    yield 0, stream.flush()[0].t().cpu().numpy()


def _fit_layers(
    codec: Jodio,
    reopen: Callable[[], AudioReader],
    kbps: float,
    settings: EncoderSettings | None,
    progress: Progress | None,
    gain: float,
) -> Fitted | None:
    """`Jodio.fit_layers` of a file, block by block."""
    length, info = 0, codec.stream_info(codec.n_q, None)
    phases: dict[int, int | None] = {}

    def pieces() -> Iterator[LayerInput]:
        nonlocal length, info
        with reopen() as reader:
            info = codec.stream_info(codec.n_q, None, reader.sample_rate, min(reader.channels, 65535))
            expected = (reader.length or 0) * codec.sample_rate / reader.sample_rate
            parts = _regrouped(reader.mono(codec.sample_rate, gain=gain), CHUNK_FRAMES * codec.frame_size)
            length = 0

            def blocks() -> Iterator[Tensor]:
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


def _regrouped(blocks: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """The same samples in pieces of `size` (the last one shorter)."""
    waiting: list[Tensor] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= size:
            joined = torch.cat(waiting)
            whole = count // size * size
            yield from joined[:whole].split(size)
            waiting, count = [joined[whole:]], count - whole
    if count:
        yield torch.cat(waiting)


def decode_file(
    codec: Jodio,
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
        resamplers = [StreamResampler(codec.sample_rate, rate) for _ in range(channels)]
        written = 0
        with AudioWriter(target, rate, channels) as writer:
            decoder = BlockDecoder(codec, info, n_q, salvage)
            for part in _channels(reader, index, decoder, place, salvage):
                written += part.shape[1]
                writer.write(_resampled(resamplers, part))
                if progress and info.length:
                    progress(written / info.length)
            if salvage and not written and info.length != 0:
                raise FormatError("no block of it is whole: there is nothing to salvage")
            writer.write(_resampled(resamplers, torch.zeros(channels, 0), last=True))
        size = Path(target).stat().st_size if str(target) != "-" else 0
        return Result(written / codec.sample_rate, size, (*reader.problems, *decoder.problems))


def _decode_piece(
    codec: Jodio,
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
        piece = AudioPiece(codec, reader, find_stream(reader.streams, "audio"), stretch, n_q, salvage, mono)
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
    reader: TokenReader, index: int, decoder: BlockDecoder, place: int | None, salvage: bool
) -> Iterator[Tensor]:
    """The samples of a stream [1, n], or left and right [2, n] with the stereo image that lies in another stream."""
    info = reader.streams[place] if place is not None else None
    image = ImageDecoder(info, salvage) if isinstance(info, AudioInfo) else None
    blocks = reader.blocks(salvage)
    if image is not None and place is not None:
        blocks = image.first(blocks, place, index)
    for block in blocks:
        if block.stream == index:
            for part in decoder.push(block):
                yield part[None] if image is None else image(part)
    for part in decoder.finish():
        yield part[None] if image is None else image(part)
    if image is not None:
        yield image.finish()


def _resampled(resamplers: list[StreamResampler], part: Tensor, last: bool = False) -> Tensor:
    return torch.stack([resampler(row.contiguous(), last=last) for resampler, row in zip(resamplers, part)])
