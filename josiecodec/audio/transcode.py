"""From sound files to `.josie` files and back, block by block in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ..errors import FormatError
from ..tokens.container import Block, TokenReader, TokenWriter
from ..tokens.header import AudioInfo, find_stream
from .files import SoundReader, StreamResampler
from .jodio import BLOCK_FRAMES, Jodio
from .writing import SoundWriter

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Result:
    """What became of a file.

    Attributes:
        seconds: length of the recording.
        size: bytes of the file that was written.
        problems: what was wrong with a salvaged file.
    """

    seconds: float
    size: int
    problems: tuple[str, ...] = ()


def encode_file(
    codec: Jodio,
    source: str | Path | IO[bytes],
    target: str | Path | IO[bytes],
    n_q: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Encode a sound file to a `.josie` file, block by block.

    Args:
        codec: the model.
        source: path of the sound, "-" for standard input, or a binary file.
        target: path of the `.josie` file, or a seekable binary file.
        n_q: levels; None for the model's default.
        progress: is told the share that is done, now and then.

    Raises:
        MediaError: if the sound cannot be read. Nothing is left at `target` then.
        FormatError: if `target` cannot be written.
    """
    n_q = codec.config.default_n_q if n_q is None else n_q
    with SoundReader(source) as reader:
        info = codec.stream_info(n_q, None, reader.sample_rate, min(reader.channels, 65535))
        expected = (reader.length or 0) * codec.sample_rate / reader.sample_rate
        with TokenWriter(target, [info]) as writer:
            length = 0
            for chunk, codes in _encode_blocks(codec, reader.mono(codec.sample_rate), n_q):
                writer.add(0, codes)
                length += chunk
                if progress and expected:
                    progress(min(length / expected, 1.0))
            writer.close([length])
            size = writer.size
    return Result(length / codec.sample_rate, size)


def _encode_blocks(codec: Jodio, blocks: Iterator[Tensor], n_q: int) -> Iterator[tuple[int, np.ndarray]]:
    """Sample blocks -> (samples taken in, codes [frames, n_q])."""
    device = next(codec.parameters()).device
    if not codec.config.causal:  # has to see everything at once
        wave = torch.cat([*blocks, torch.zeros(0)])
        codes = codec.encode(wave.to(device), n_q)
        yield len(wave), codes[0].t().cpu().numpy()
        return
    stream = codec.streaming(n_q=n_q)
    for part in _regrouped(blocks, BLOCK_FRAMES * codec.frame_size):
        yield len(part), stream.encode(part[None, None].to(device))[0].t().cpu().numpy()
    yield 0, stream.flush()[0].t().cpu().numpy()


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
    """Decode the audio of a `.josie` file to a sound file, block by block.

    Args:
        codec: the model that made it.
        source: the file.
        target: path of the sound file, whose suffix says the format; "-" for WAV on standard output.
        n_q: use at most so many levels.
        sample_rate: of the sound file; None for the codec's own.
        salvage: make do with what is whole in a damaged file; gaps become silence.
        progress: is told the share that is done, now and then.

    Raises:
        FormatError: if the file is damaged (and not to be salvaged).
        ModelError: if another model made it.
        MediaError: if the sound cannot be written.
    """
    with TokenReader(source) as reader:
        index = find_stream(reader.streams, "audio")
        info = codec.check_stream(reader.streams[index])
        rate = sample_rate or codec.sample_rate
        resampler = StreamResampler(codec.sample_rate, rate)
        written = 0
        blocks = (b for b in reader.blocks(salvage) if b.stream == index)
        with SoundWriter(target, rate) as writer:
            for part in _decode_blocks(codec, blocks, info, n_q, salvage):
                if info.length is not None:
                    part = part[: info.length - written]
                written += len(part)
                writer.write(resampler(part))
                if progress and info.length:
                    progress(written / info.length)
            if info.length is not None and written < info.length and not salvage:
                raise FormatError(f"the file holds {written} of {info.length} samples")
            writer.write(resampler(torch.zeros(0), last=True))
        size = Path(target).stat().st_size if str(target) != "-" else 0
        return Result(written / codec.sample_rate, size, tuple(reader.problems))


def _decode_blocks(
    codec: Jodio, blocks: Iterator[Block], info: AudioInfo, n_q: int | None, salvage: bool
) -> Iterator[Tensor]:
    """Blocks -> waveform pieces [n] in order; frames that are missing become silence."""
    device = next(codec.parameters()).device
    levels = min(info.levels, n_q or info.levels)
    most = info.frames if info.frames is not None else 1 << 48
    reached = 0
    stream = codec.streaming() if codec.config.causal else None
    whole: list[Tensor] = []
    for block in blocks:
        if block.first != reached:
            if not salvage:
                raise FormatError(f"frame {reached} is missing")
            if block.first < reached or block.first + block.frames > most:
                continue  # a block out of place cannot be trusted
            yield from _silence((block.first - reached) * codec.frame_size)
            reached = block.first
            if stream is not None:
                stream.reset()
        codes = torch.from_numpy(np.asarray(block.codes)[:, :levels].astype(np.int64)).t()[None].to(device)
        reached += block.frames
        if stream is not None:
            yield stream.decode(codes)[0, 0].cpu()
        else:
            whole.append(codes)
    if whole:
        yield codec.decode(torch.cat(whole, -1))[0, 0].cpu()


def _silence(samples: int) -> Iterator[Tensor]:
    """Zeros in pieces of bounded size."""
    while samples > 0:
        piece = min(samples, 1 << 16)
        yield torch.zeros(piece)
        samples -= piece
