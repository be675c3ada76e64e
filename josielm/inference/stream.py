"""The model on a stream: one frame in, one frame out, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from josiecodec.errors import CodesError, ConfigError
from josiecodec.nn.streaming import State

from ..model.language_model import LM, Inputs
from ..model.layers import Caches
from .sampling import Sampling, draw

TextFilter = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Frame:
    """What the model said in a frame.

    Attributes:
        codes: int64 [B, K]; codes of the codec, or ABSENT where a frame is to have no sound.
        text: int64 [B], or None for a model that writes none.
    """

    codes: Tensor
    text: Tensor | None


@dataclass(frozen=True)
class CacheConfig:
    """What a stream keeps of the past.

    Attributes:
        dtype: of keys and values; "model" for that of the weights.
        frames: that it looks back on at most, itself included; None for the context of the model.
    """

    dtype: Literal["model", "bfloat16", "float16"] = "model"
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 2:
            raise ConfigError("a cache keeps two frames at least")


class LMStream:
    """Runs a model frame by frame, for a batch of independent streams.

        stream = LMStream(model, seeds=[0])
        frame = stream.step()                # the first frame; None while levels that are put off are not complete
        frame = stream.step(user=heard)      # the next one, now that the other speaker was heard in the last one

    Levels can be given instead of drawn (`codes`, `text`): a prompt, a text to be spoken, a sound to be written down.

    Args:
        model: whose stream.
        seeds: one for each stream of the batch; a stream does not depend on those beside it.
        sampling: how ids are drawn.
        vision: pictures that are shown first: `Inputs` with `vision` and `grid`.
        turns: in turn mode, frames whose text is not SILENCE have no sound.
        cache: how much of the past is kept, and how exactly; None for all that the model can look back on.
        writes: False for a stream without text: the model knows that there is none.
    """

    def __init__(
        self,
        model: LM,
        seeds: list[int],
        sampling: Sampling | None = None,
        vision: Inputs | None = None,
        turns: bool = False,
        writes: bool = True,
        cache: CacheConfig | None = None,
    ):
        config = model.config
        if turns and (config.text_head == "none" or config.text_delay):
            raise CodesError(f"{config.name}: turns need text that is not put off")
        self.model, self.sampling, self.turns = model, sampling or Sampling(), turns
        self.batch, self.device = len(seeds), next(model.parameters()).device
        self.writes = writes and config.text_head != "none"
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.steps = 0
        self.state = Caches()
        if cache is not None:
            self.state.dtype = None if cache.dtype == "model" else getattr(torch, cache.dtype)
            self.state.steps = cache.frames
        self._longest = config.longest_delay
        self._rows: deque[Tensor] = deque(maxlen=self._longest + 1)  # what was said, as it was said
        self._words: deque[Tensor] = deque(maxlen=self._longest + 1)
        self._given: deque[Tensor | None] = deque(maxlen=max(config.level_delays) + 1)  # by frame
        self._given_text: deque[Tensor | None] = deque(maxlen=config.text_delay + 1)
        self._heard: deque[Tensor] = deque(maxlen=max(config.listening_delays) + 1)
        self._see(vision)

    def _see(self, vision: Inputs | None) -> None:
        prefix = None if vision is None else self.model.prefix(vision)
        self._visible: Tensor | None = None
        if prefix is not None:
            x, when, self._visible = prefix
            with torch.no_grad():
                whole = self.model.config.vision and self.model.config.vision.whole
                both_ways = x.shape[1] if whole else 0
                self.model.temporal(x, when, self.state, visible=self._visible, both_ways=both_ways)

    @torch.no_grad()
    def step(
        self,
        user: Tensor | None = None,
        codes: Tensor | None = None,
        text: Tensor | None = None,
        choose: TextFilter | None = None,
    ) -> Frame | None:
        """Say the next frame.

        Args:
            user: what the other speaker said in the frame before, codes [B, K]; None if that is not known.
            codes: what this frame is to sound like, [B, K] (ABSENT for no sound); None to let the model say it.
            text: what it is to have as text, [B].
            choose: is given the text id [B] that was drawn and returns the one to be used.

        Returns:
            the latest frame that is complete, `longest_delay` frames back, or None if there is none yet.
        """
        context = self._context(user)
        self._given.append(codes)
        self._given_text.append(text)
        state = State()
        depth = self.model.depth
        base = depth.base(context, None)
        words = self._text(context, base, state, choose)
        if words is not None:
            self._words.append(words)
            if self.turns and codes is None:
                quiet = words != self.model.ids.silence
                self._given[-1] = torch.where(quiet[:, None], self._filled(self.model.ids.absent), -1)
            if not depth.text_step:
                base = depth.base(context, words)
        self._rows.append(self._levels(context, base, words, state))
        self.steps += 1
        return self._complete()

    def _context(self, user: Tensor | None) -> Tensor:
        """Run the temporal transformer on what was said and heard last: [B, D]."""
        model, ids, config = self.model, self.model.ids, self.model.config
        codes = self._rows[-1] if self.steps else self._filled(ids.start)
        x = model.code_tables(codes[..., None])
        if model.text_table is not None:
            text = self._words[-1] if self.steps else self._text_filled(ids.text_start)
            x = x + model.text_vector(text[:, None])
        heard = self._hear(user)
        if heard is not None and model.user_tables is not None:
            x = x + model.user_tables(heard[..., None])
        if model.frame_bias is not None:
            x = x + model.frame_bias
        if self._visible is not None:
            self._visible = F.pad(self._visible, (0, 1), value=True)[:, -config.context :]
        position = torch.tensor([self.steps], device=self.device)
        return model.temporal(x, position, self.state, visible=self._visible)[:, 0]

    def _hear(self, user: Tensor | None) -> Tensor | None:
        """What the other speaker's rows, put off as they are, had in the last step: [B, K]."""
        ids, config = self.model.ids, self.model.config
        if config.streams == 1:
            if user is not None:
                raise CodesError(f"{config.name} has one stream; it cannot listen to another")
            return None
        if not self.steps:
            return self._filled(ids.start)
        self._heard.append(self._filled(ids.absent) if user is None else user)
        rows = self._filled(ids.start)
        for level, by in enumerate(config.listening_delays):
            if by < self.steps:
                rows[:, level] = self._heard[-1 - by][:, level]
        return rows

    def _text(self, context: Tensor, base: Tensor, state: State, choose: TextFilter | None) -> Tensor | None:
        """The text id of this step, [B]; None for a model without text."""
        model, config = self.model, self.model.config
        if model.text_table is None:
            return None
        if model.depth.text_step:  # is run in any case: the next steps look back at it
            logits = model.depth.text(base, state)
        elif self.writes:
            logits = model.text_projection(context)
        if self.steps < config.text_delay:
            return self._text_filled(model.ids.text_start)
        given = self._given_text[-1 - config.text_delay]
        if given is not None:
            return given
        if not self.writes:
            return self._text_filled(model.ids.text_absent)
        drawn = draw(model.allowed_text(logits), self.sampling.text, self.generators)
        return drawn if choose is None else choose(drawn)

    def _levels(self, context: Tensor, base: Tensor, words: Tensor | None, state: State) -> Tensor:
        """Codes of this step, one level after the other: [B, K]."""
        model, config = self.model, self.model.config
        rows = self._filled(model.ids.start)
        for level, by in enumerate(config.level_delays):
            if level or config.semantic == "level":
                hidden = model.depth.next(base, level, rows, words, state)
                logits = model.depth.level_logits(hidden, level, words)
            else:
                logits = model.code_logits(context, context, level, words)
            if self.steps < by:
                continue
            drawn = draw(logits, self.sampling.level(level), self.generators)
            given = self._given[-1 - by]
            if given is not None:
                drawn = torch.where(given[:, level] < 0, drawn, given[:, level])
            rows[:, level] = drawn
        return rows

    def _complete(self) -> Frame | None:
        """The frame whose last level has just been said."""
        back = self._longest
        if self.steps <= back:
            return None
        config = self.model.config
        codes = torch.stack([self._rows[by - back - 1][:, k] for k, by in enumerate(config.level_delays)], 1)
        return Frame(codes, self._words[config.text_delay - back - 1] if self.writes else None)

    def _filled(self, id_: int) -> Tensor:
        return torch.full((self.batch, self.model.config.n_q), id_, device=self.device)

    def _text_filled(self, id_: int) -> Tensor:
        return torch.full((self.batch,), id_, device=self.device)


def steps_of(frames: int, model: LM) -> int:
    """Steps that so many whole frames take."""
    return frames + model.config.longest_delay
