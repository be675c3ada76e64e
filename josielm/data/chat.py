"""Turn mode: conversations as rows of frames, with the special tokens of ChatML in the text row.

    text   <|im_start|> user \\n  h e l l o  .  .  .  <|im_end|> \\n  <|im_start|> assistant \\n ...
    sound        -       -    -  - - - - -  x  x  x       -       -         -          -

A token of text takes a frame without sound; a frame of sound has SILENCE for its text. So the text row says at every
frame whether there is sound, and a reply is over when it says <|im_end|>. Sound of the user goes to the other
speaker's rows if the model has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..model.config import ModelConfig
from ..model.ids import Ids
from .text import TURN_BEGIN, TURN_END, TextRows


@dataclass(frozen=True)
class Turn:
    """What one side says.

    Attributes:
        role: "system", "user" or "assistant".
        text: or "".
        codes: sound, [frames, K], or None.
    """

    role: str
    text: str = ""
    codes: np.ndarray | None = None


@dataclass(frozen=True)
class Packed:
    """Rows of a conversation, all of the same frames.

    Attributes:
        codes: int64 [K, T]; text: int64 [T]; user: int64 [K, T] or None; learn: bool [T], the assistant's words.
    """

    codes: np.ndarray
    text: np.ndarray
    user: np.ndarray | None
    learn: np.ndarray


def pack(turns: Sequence[Turn], rows: TextRows, config: ModelConfig, reply: bool = False) -> Packed:
    """Put turns one behind the other.

    Args:
        turns: in order.
        rows: makes ids of text.
        config: of the model.
        reply: begin a turn of the assistant behind them, for the model to go on with.
    """
    ids = Ids(config.codebook_size, config.text_size)
    text: list[int] = []
    learn: list[bool] = []
    spans: list[tuple[int, Turn]] = []
    for turn in turns:
        own = turn.role == "assistant"
        _append(text, learn, rows.encode(f"{TURN_BEGIN}{turn.role}\n", special=True), False)
        _append(text, learn, rows.encode(turn.text), own)
        if turn.codes is not None:
            spans.append((len(text), turn))
            _append(text, learn, [ids.silence] * len(turn.codes), own)
        _append(text, learn, rows.encode(TURN_END, special=True), own)
        _append(text, learn, rows.encode("\n"), False)
    if reply:
        _append(text, learn, rows.encode(f"{TURN_BEGIN}assistant\n", special=True), False)
    codes = np.full((config.n_q, len(text)), ids.absent)
    user = codes.copy() if config.streams == 2 else None
    for begin, turn in spans:
        assert turn.codes is not None  # only turns with sound are among the spans
        side = user if user is not None and turn.role != "assistant" else codes
        side[:, begin : begin + len(turn.codes)] = turn.codes[:, : config.n_q].T
    return Packed(codes, np.array(text, np.int64), user, np.array(learn, bool))


def _append(text: list[int], learn: list[bool], ids: list[int], own: bool) -> None:
    text.extend(ids)
    learn.extend([own] * len(ids))
