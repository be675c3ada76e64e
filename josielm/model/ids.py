"""Ids that are no codes: every one lies outside the range of what it stands beside, never at 0.

Sound, with codes 0 .. codebook_size - 1:

    codebook_size       START   the level has not begun yet (before the first frame, and while it is put off)
    codebook_size + 1   ABSENT  there is no sound here: adds nothing, is never predicted and never counted

Text, with the tokenizer's ids 0 .. text_size - 1:

    text_size           SILENCE nobody begins a word here; the text of a silent frame
    text_size + 1       WORD    a word begins in the next frame
    text_size + 2       START   the text has not begun yet
    text_size + 3       ABSENT  no text is known here: adds nothing, is never predicted and never counted

A model makes codes, the tokenizer's ids, SILENCE and WORD; START and ABSENT are only ever read. So no codec and no
tokenizer is handed an id that it does not have.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ids:
    """The ids of a model.

    Attributes:
        codebook_size: codes of a level.
        text_size: ids of the tokenizer.
    """

    codebook_size: int
    text_size: int = 0

    @property
    def start(self) -> int:
        return self.codebook_size

    @property
    def absent(self) -> int:
        return self.codebook_size + 1

    @property
    def silence(self) -> int:
        return self.text_size

    @property
    def word(self) -> int:
        return self.text_size + 1

    @property
    def text_start(self) -> int:
        return self.text_size + 2

    @property
    def text_absent(self) -> int:
        return self.text_size + 3
