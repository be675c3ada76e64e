"""From audio files to `.josie` files and back, block by block in bounded memory."""

from __future__ import annotations

import contextlib
import io
import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ..atomic import write_bytes
from ..audio.layers import LayerInput
from ..audio.network import CHUNK_FRAMES
from ..audio.resume import ResumedStream
from ..audio.stream import AudioStream
from ..bitstream.container import Block, TokenReader, TokenWriter
from ..bitstream.header import AudioInfo, find_stream
from ..errors import CodesError, FormatError, MediaError
from ..media.audio_reader import AudioReader, Reading, StreamResampler
from ..media.audio_writer import AudioWriter
from ..settings import EncoderSettings, Rate, fitting_rate
from .audio_rate_control import PROBE_SECONDS, fit_levels, level_rates
from .codec import Progress, Result
from .jodio import Jodio
from .layer_rate import Fitted

MAX_GAP_SECONDS = 600  # filled in at a stretch
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
    """Encode an audio file to a `.josie` file, block by block.

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
        for chunk, codes in encode_blocks(codec, reader.mono(codec.sample_rate, gain=gain), n_q, settings):
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
    with tempfile.SpooledTemporaryFile(MAX_IN_MEMORY) as kept:
        if str(source) == "-":
            shutil.copyfileobj(sys.stdin.buffer, kept)

        def reopen() -> AudioReader:
            if isinstance(source, (str, Path)) and str(source) != "-":
                return AudioReader(source, reading)
            file = kept if isinstance(source, (str, Path)) else source
            file.seek(0)
            return AudioReader(file, reading)

        yield reopen


def encode_blocks(
    codec: Jodio, blocks: Iterator[Tensor], n_q: int, settings: EncoderSettings | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Sample blocks -> (samples taken in, codes [frames, n_q])."""
    if not codec.config.causal:  # has to see everything at once
        wave = torch.cat([*blocks, torch.zeros(0)])
        codes = codec.encode(wave.to(codec.device), n_q, settings)
        yield len(wave), codes[0].t().cpu().numpy()
        return
    stream = codec.streaming(n_q=n_q, settings=settings)
    for part in _regrouped(blocks, CHUNK_FRAMES * codec.frame_size):
        yield len(part), stream.encode(part[None, None].to(codec.device))[0].t().cpu().numpy()
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

            for piece in codec.layer_inputs(blocks(), settings):
                yield piece
                if progress and expected:
                    progress(min(length / expected, 1.0))

    def write(codes: np.ndarray) -> tuple[bytes, float]:
        out = io.BytesIO()
        with TokenWriter(out, [info], codec.known_tables) as writer:
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

    Raises:
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
        MediaError: if the audio cannot be written.
    """
    with TokenReader(source, codec.known_tables) as reader:
        index = find_stream(reader.streams, "audio")
        info = codec.check_stream(reader.streams[index])
        rate = codec.sample_rate if sample_rate is None else sample_rate
        if rate < 1:
            raise MediaError(f"sample rates are positive, not {rate}")
        resampler = StreamResampler(codec.sample_rate, rate)
        written = 0
        blocks = (b for b in reader.blocks(salvage) if b.stream == index)
        with AudioWriter(target, rate) as writer:
            decoder = BlockDecoder(codec, info, n_q, salvage)
            parts = itertools.chain(itertools.chain.from_iterable(map(decoder.push, blocks)), decoder.finish())
            for part in parts:
                written += len(part)
                writer.write(resampler(part))
                if progress and info.length:
                    progress(written / info.length)
            if salvage and not written and info.length != 0:
                raise FormatError("no block of it is whole: there is nothing to salvage")
            writer.write(resampler(torch.zeros(0), last=True))
        size = Path(target).stat().st_size if str(target) != "-" else 0
        return Result(written / codec.sample_rate, size, (*reader.problems, *decoder.problems))


class BlockDecoder:
    """Turns the blocks of an audio stream, one after the other, into waveform pieces [n].

    Args:
        codec: the model that made them.
        info: header of the stream.
        n_q: use at most so many levels.
        salvage: frames that are missing become silence; else they are an error.

    Attributes:
        problems: where levels could not be used, see `audio/resume.py`.
    """

    def __init__(self, codec: Jodio, info: AudioInfo, n_q: int | None = None, salvage: bool = False):
        self.codec, self.info, self.salvage = codec, info, salvage
        if n_q is not None and n_q < 1:
            raise CodesError(f"at least one level must be used, not {n_q}")
        self.levels = min(info.levels, n_q or info.levels)
        self.reached = 0  # frames
        self.written = 0  # samples
        self.problems: list[str] = []
        self._since = 0  # the frame behind the last gap
        self._stream: AudioStream | ResumedStream | None = codec.streaming() if codec.config.causal else None
        self._whole: list[Tensor] = []  # of a codec that has to see everything at once

    def push(self, block: Block) -> Iterator[Tensor]:
        """The pieces that a block makes.

        Raises:
            FormatError: if it does not follow on the last one.
        """
        frames = self.info.units
        if block.first != self.reached:
            if not self.salvage:
                raise FormatError(f"frame {self.reached} is missing")
            gap = block.first - self.reached
            max_gap = MAX_GAP_SECONDS * self.codec.sample_rate // self.codec.frame_size
            if gap < 0 or gap > max_gap or (frames is not None and block.first + block.units > frames):
                return  # a block out of place cannot be trusted
            yield from self._cut(self._rest())
            yield from self._cut(_silence((block.first - self.reached) * self.codec.frame_size))
            self._report()
            self.reached = self._since = block.first
            if self.codec.config.causal:
                self._stream = ResumedStream(self.codec, block.first)
        codes = torch.from_numpy(np.asarray(block.codes)[:, : self.levels].astype(np.int64))
        self.reached += block.units
        codes = codes.t()[None].to(self.codec.device)
        if self._stream is not None:
            yield from self._cut([self._stream.decode(codes)[0, 0].cpu()])
        else:
            self._whole.append(codes)

    def finish(self) -> Iterator[Tensor]:
        """What is left when there are no more blocks.

        Raises:
            FormatError: if samples are missing.
        """
        yield from self._cut(self._rest())
        self._report()
        length = self.info.length
        if length is not None and self.written < length and not self.salvage:
            raise FormatError(f"the file holds {self.written} of {length} samples")

    def _report(self) -> None:
        """Note if levels behind the last gap were not used."""
        stream = self._stream
        if isinstance(stream, ResumedStream) and not stream.found and self.levels > self.codec.base_levels:
            start = self._since * self.codec.frame_size / self.codec.sample_rate
            self.problems.append(f"from {start:.1f} s on, behind a gap, levels of the waveform cannot be used")

    def _rest(self) -> list[Tensor]:
        """What is still to come of the blocks so far; those after them are a new beginning."""
        if self._stream is not None:
            return [self._stream.finish()[0, 0].cpu()]
        whole, self._whole = self._whole, []
        return [self.codec.decode(torch.cat(whole, -1))[0, 0].cpu()] if whole else []

    def _cut(self, parts: Iterable[Tensor]) -> Iterator[Tensor]:
        """Leave out what lies behind the exact length."""
        for part in parts:
            if self.info.length is not None:
                part = part[: self.info.length - self.written]
            self.written += len(part)
            yield part


def _silence(samples: int) -> Iterator[Tensor]:
    """Zeros in pieces of bounded size."""
    while samples > 0:
        piece = min(samples, 1 << 16)
        yield torch.zeros(piece)
        samples -= piece
