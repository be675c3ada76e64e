"""Text as ids, one a frame: tokenizers, and words put where they are spoken.

A tokenizer is a `tokenizer.json` of the package tokenizers (Qwen2.5's works as it is), or "bytes".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from josiecodec.errors import CodecError, ConfigError

from ..model.ids import Ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TURN_BEGIN, TURN_END = "<|im_start|>", "<|im_end|>"


def load_tokenizer(source: str | Path) -> Tokenizer:
    """Read a `tokenizer.json`, or make the tokenizer of bytes for the name "bytes".

    Raises:
        CodecError: if it cannot be read, or the package tokenizers is not there.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise CodecError("text needs the package tokenizers: pip install josiecodec[lm]") from None
    if str(source) == "bytes":
        return byte_tokenizer()
    try:
        tokenizer = Tokenizer.from_file(str(source))
    except Exception as error:  # the package raises bare Exceptions
        raise CodecError(f"{source}: no tokenizer that can be read ({error})") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """Rows that a table of its ids needs: some tokenizers leave ids out."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def byte_tokenizer() -> Tokenizer:
    """Every byte is a token, and the special tokens of ChatML are one each: 258 ids, no training."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(TURN_BEGIN), AddedToken(TURN_END)])
    return tokenizer


class TextRows:
    """Makes the row of text that stands beside a clip's codes.

    Args:
        tokenizer: of the text.
        ids: of the model.
        frame_rate: frames a second.
        offset: frames from where a word is spoken to where its text stands; words may not come before their sound
            if the model is to write down what it hears, nor behind it if it is to speak what it has written.
    """

    def __init__(self, tokenizer: Tokenizer, ids: Ids, frame_rate: float, offset: int = 0):
        if vocabulary_size(tokenizer) != ids.text_size:
            raise ConfigError(f"the tokenizer has {vocabulary_size(tokenizer)} ids, the model {ids.text_size}")
        self.tokenizer, self.ids, self.frame_rate, self.offset = tokenizer, ids, frame_rate, offset

    def row(self, meta: dict[str, Any], frames: int) -> np.ndarray:
        """Text ids int64 [frames] of a clip: its `words` where they are spoken, or its `text` from the first frame on.

        A clip without either has no text: ABSENT everywhere. `words` are [word, from, to] in seconds of the clip.
        """
        words, text = meta.get("words"), meta.get("text")
        if isinstance(words, list) and words:
            return self.aligned(words, frames)
        if isinstance(text, str) and text.strip():
            return self._put([(0, self.encode(text.strip()))], frames)
        return np.full(frames, self.ids.text_absent)

    def aligned(self, words: Sequence[Any], frames: int) -> np.ndarray:
        """Ids of words from the frames on in which they begin, with WORD before each where there is room."""
        placed = []
        for number, entry in enumerate(words):
            try:
                word, begin = str(entry[0]), float(entry[1])
            except (TypeError, ValueError, IndexError, KeyError):
                raise CodecError(f"a word must be [word, from, to], not {entry!r}") from None
            ids = self.encode(word if not number else f" {word}")
            placed.append((int(begin * self.frame_rate) + self.offset, ids))
        return self._put(placed, frames)

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Ids of a text; the special tokens of turns in it are letters like others unless `special`."""
        before = self.tokenizer.encode_special_tokens
        self.tokenizer.encode_special_tokens = not special
        try:
            return list(self.tokenizer.encode(text, add_special_tokens=False).ids)
        finally:
            self.tokenizer.encode_special_tokens = before  # others may use the tokenizer, too

    def _put(self, placed: list[tuple[int, list[int]]], frames: int) -> np.ndarray:
        """Texts from given frames on; one that is not done pushes the next one back."""
        row = np.full(frames, self.ids.silence)
        free = 0
        for frame, ids in placed:
            begin = max(frame, free)
            if 0 < begin <= frames and begin > free:
                row[begin - 1] = self.ids.word
            part = ids[: max(frames - begin, 0)]
            row[begin : begin + len(part)] = part
            free = begin + len(ids)
        return row

    def decode(self, row: Sequence[int]) -> str:
        """The text that a row of ids says."""
        return str(self.tokenizer.decode([int(i) for i in row if i < self.ids.text_size], skip_special_tokens=True))
