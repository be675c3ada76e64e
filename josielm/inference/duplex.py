"""Full duplex: the model listens and speaks at the same time, one frame in, one frame out.

    user's samples -> streaming encoder -> codes of the frame -> model -> codes of the next frame -> streaming decoder

While the user speaks frame t the model's frame t is played; when it has been heard, frame t + 1 is made. So the answer
can begin one frame after what it answers, plus the time that the computation takes (and `longest_delay` frames, if
levels are put off).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from josiecodec.errors import CodecError

from ..store import Trained
from .sampling import Sampling
from .stream import CacheConfig, LMStream

BUDGET = 0.140  # seconds of computation a frame may take: 300 ms end to end, less a frame heard and a frame of delay


@dataclass
class Report:
    """What a conversation took.

    Attributes:
        seconds: computation of each frame.
        text: ids of each frame, as far as the model wrote.
        silent: frames in which the model was silent.
    """

    seconds: list[float] = field(default_factory=list)
    text: list[int] = field(default_factory=list)
    silent: int = 0

    def figures(self, frame_seconds: float) -> dict[str, float]:
        """Median and 99th percentile of the computation in milliseconds, beside what it may take.

        `sustained_ms` is the length of a frame, which the mean (`mean_ms`) must stay below, or a conversation falls
        behind for good. A single frame may take `budget_ms` if those after it catch up; `over_budget` took longer.
        """
        times = sorted(self.seconds) or [0.0]
        late = sum(t > BUDGET for t in times)
        return {
            "frames": len(self.seconds),
            "median_ms": round(1000 * statistics.median(times), 2),
            "mean_ms": round(1000 * statistics.fmean(times), 2),
            "p99_ms": round(1000 * times[min(int(0.99 * len(times)), len(times) - 1)], 2),
            "sustained_ms": round(1000 * frame_seconds, 2),
            "budget_ms": 1000 * BUDGET,
            "over_budget": late,
            "silent_frames": self.silent,
        }


class Talk:
    """A conversation.

    Args:
        trained: the model.
        codec: the codec whose codes it has learnt.
        seed: of what is drawn.
        sampling: how ids are drawn.
        quiet_after: seconds of SILENCE in the text after which the model's sound is silence, too; None for never. A
            model without text is never silenced.
        look_back: seconds of the conversation that the model remembers at most; None for its context.
    """

    def __init__(
        self,
        trained: Trained,
        codec: Any,
        seed: int = 0,
        sampling: Sampling | None = None,
        quiet_after: float | None = 1.0,
        look_back: float | None = None,
    ):
        config = trained.model.config
        if config.n_q > codec.n_q or config.codebook_size != codec.codebook_size:
            raise CodecError(f"{config.name} speaks {config.n_q} levels, {codec.config.name} has {codec.n_q}")
        self.trained, self.codec, self.report = trained, codec, Report()
        self._audio = codec.streaming(n_q=config.n_q)
        frames = None if look_back is None else max(math.ceil(round(look_back * trained.frame_rate, 6)), 2)
        self._model = LMStream(trained.model, [seed], sampling, cache=CacheConfig(frames=frames))
        self._quiet = None if quiet_after is None else round(quiet_after * trained.frame_rate)
        self._silent = 0
        self._next: Tensor | None = None

    def frame(self, samples: Tensor) -> Tensor:
        """Hear a frame [1, 1, frame_size] and give the one that is played at the same time, as long.

        The report counts the work from hearing a frame to having the next one.
        """
        if self._next is None:
            self._next = self._say(None)
        now = self._next
        self._next = self.answer(samples)
        return now

    def answer(self, samples: Tensor) -> Tensor:
        """Hear a frame [1, 1, frame_size] and give the one that follows it: what a live conversation plays next."""
        if not self._model.steps:
            self._say(None)  # what would have been said meanwhile
        begin = time.perf_counter()
        said = self._say(self._audio.encode(samples)[..., 0])
        self.report.seconds.append(time.perf_counter() - begin)
        return said

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """`frame` for each of many."""
        return (self.frame(samples) for samples in frames)

    def _say(self, heard: Tensor | None) -> Tensor:
        user = heard if self.trained.model.config.streams == 2 else None
        frame = self._model.step(user)
        if frame is None:
            return torch.zeros(1, 1, self.codec.frame_size)
        samples = self._audio.decode(frame.codes[..., None])
        if frame.text is None:
            return samples
        self.report.text.append(int(frame.text[0]))
        self._silent = self._silent + 1 if self.report.text[-1] == self.trained.model.ids.silence else 0
        if self._quiet is not None and self._silent > self._quiet:
            self.report.silent += 1
            return torch.zeros_like(samples)
        return samples


def framed(blocks: Iterable[Tensor], size: int) -> Iterator[tuple[Tensor, int]]:
    """Samples [n] in blocks of any size as frames [1, 1, size] and how many samples of each are real."""
    waiting = torch.zeros(0)
    for block in blocks:
        waiting = torch.cat([waiting, block])
        while len(waiting) >= size:
            yield waiting[None, None, :size], size
            waiting = waiting[size:]
    if len(waiting):
        yield torch.nn.functional.pad(waiting, (0, size - len(waiting)))[None, None], len(waiting)
