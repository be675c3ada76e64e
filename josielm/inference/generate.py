"""Making audio and text: from nothing, from a prompt, from a text to be spoken, or as an answer in turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from josiecodec.errors import CodesError

from ..data.chat import TURN_END, Turn, pack
from ..model.language_model import Inputs
from ..store import Trained
from .sampling import Sampling
from .stream import Frame, LMStream, steps_of

PATIENCE = 2.0  # seconds after which a word that is due is begun, whatever the model thinks


@dataclass(frozen=True)
class Generated:
    """What a model said.

    Attributes:
        codes: int64 [B, K, T], the prompt first.
        text: int64 [B, T], or None.
    """

    codes: Tensor
    text: Tensor | None


class Words:
    """Makes a stream say given words: the model chooses when each begins, by its WORD id or any text.

    Args:
        words: ids of each word.
        silence, word: ids of `josielm.model.ids`.
        patience: silent frames after which the next word is begun all the same.
    """

    def __init__(self, words: Sequence[Sequence[int]], silence: int, word: int, patience: int):
        self._waiting = deque(list(w) for w in words if w)
        self._now: deque[int] = deque()
        self._silence, self._word, self._patience = silence, word, max(patience, 1)
        self._silent = 0

    def __call__(self, drawn: Tensor) -> Tensor:
        """The id to be used, [1], given the one that was drawn."""
        return torch.full_like(drawn, self._next(int(drawn[0])))

    def _next(self, drawn: int) -> int:
        if self._now:
            return self._now.popleft()
        due = drawn != self._silence or self._silent >= self._patience
        if not due or not self._waiting:
            self._silent += 1
            return self._silence
        self._silent = 0
        self._now = deque(self._waiting.popleft())
        return self._word if drawn == self._word else self._now.popleft()


def generate(
    trained: Trained,
    frames: int,
    seeds: Sequence[int] = (0,),
    sampling: Sampling | None = None,
    prompt: Tensor | None = None,
    text: str | None = None,
    user: Tensor | None = None,
    vision: Inputs | None = None,
) -> Generated:
    """Say `frames` frames, those of the prompt included.

    Args:
        trained: the model.
        frames: to be made.
        seeds: one for each item of the batch.
        sampling: how ids are drawn.
        prompt: codes [B, K, T] to begin with.
        text: to be spoken behind the prompt, for a batch of one.
        user: what the other speaker says meanwhile, codes [B, K, T].
        vision: pictures shown before, see `LMStream`.

    Raises:
        CodesError: if something does not fit the model.
    """
    model = trained.model
    _check_rows(trained, prompt, user, len(seeds))
    if frames < 1:
        raise CodesError(f"at least one frame, not {frames}")
    choose = None
    if text is not None:
        if trained.rows is None or model.config.text_head == "none" or len(seeds) != 1:
            raise CodesError(f"{model.config.name}: text can be spoken by a model that writes, for a batch of one")
        spaced = [w if not n else f" {w}" for n, w in enumerate(text.split())]
        ids, patience = model.ids, round(PATIENCE * trained.frame_rate)
        choose = Words([trained.rows.encode(w) for w in spaced], ids.silence, ids.word, patience)
    stream = LMStream(model, list(seeds), sampling, vision)
    unknown = torch.full((len(seeds),), model.ids.text_absent, device=stream.device)
    said = []
    for step in range(steps_of(frames, model)):
        given = prompt[..., step] if prompt is not None and step < prompt.shape[-1] else None
        heard = user[..., step - 1] if user is not None and 0 < step <= user.shape[-1] else None
        before = unknown if choose is not None and given is not None else None  # no word is used up by the prompt
        frame = stream.step(heard, given, before, choose)
        if frame is not None:
            said.append(frame)
    return joined(said)


def reply(
    trained: Trained,
    turns: Sequence[Turn],
    max_frames: int,
    seed: int = 0,
    sampling: Sampling | None = None,
    audio: bool = True,
) -> tuple[str, Tensor]:
    """Answer in turn mode, until the model ends its turn.

    Args:
        trained: a model that writes.
        turns: what was said so far.
        max_frames: frames after which the answer is cut off.
        seed: of what is drawn.
        sampling: how ids are drawn.
        audio: False for an answer of text alone.

    Returns:
        its text, and codes [1, K, frames of audio].

    Raises:
        CodesError: if the model has no text.
    """
    model, rows = trained.model, trained.rows
    if rows is None:
        raise CodesError(f"{model.config.name}: turns need a model that writes text")
    packed = pack(turns, rows, model.config, reply=True)
    stream = LMStream(model, [seed], sampling, turns=True)
    length = packed.text.shape[0]
    codes, text = (torch.from_numpy(row).to(stream.device)[None] for row in (packed.codes, packed.text))
    user = None if packed.user is None else torch.from_numpy(packed.user).to(stream.device)[None]
    end = rows.encode(TURN_END, special=True)
    words: list[int] = []
    frames: list[Frame] = []

    def listen(drawn: Tensor) -> Tensor:
        if words[-len(end) :] != end:  # what comes after the end is only there to complete the frames before it
            over = not audio and int(drawn[0]) == model.ids.silence
            words.extend(end if over else [int(drawn[0])])
        return drawn

    left = steps_of(max_frames, model)
    while left > 0:
        step = stream.steps
        heard = None if user is None or not 0 < step <= length else user[..., step - 1]
        if step < length:
            frame = stream.step(heard, codes[..., step], text[..., step])
            continue
        frame = stream.step(heard, choose=listen)
        if frame is not None and step - model.config.longest_delay >= length:
            frames.append(frame)
        left = left - 1 if words[-len(end) :] != end else min(left - 1, model.config.longest_delay)
    said = [f.codes for f in frames if int(f.codes.max()) < model.config.codebook_size]
    out = torch.stack(said, -1) if said else torch.zeros(1, model.config.n_q, 0, dtype=torch.long)
    return rows.decode(words[: -len(end)] if words[-len(end) :] == end else words), out


def joined(frames: Sequence[Frame]) -> Generated:
    """Frames one behind the other."""
    texts = [f.text for f in frames if f.text is not None]
    return Generated(torch.stack([f.codes for f in frames], -1), torch.stack(texts, -1) if texts else None)


def _check_rows(trained: Trained, prompt: Tensor | None, user: Tensor | None, batch: int) -> None:
    config = trained.model.config
    if user is not None and config.streams == 1:
        raise CodesError(f"{config.name} has one stream; it cannot listen to another")
    for rows in (prompt, user):
        if rows is not None:
            if rows.shape[:2] != (batch, config.n_q):
                raise CodesError(f"codes must be [{batch}, {config.n_q}, T], not {list(rows.shape)}")
            trained.model.check(Inputs(codes=rows))
