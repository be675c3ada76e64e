"""Letters to sounds: how a word is said that no dictionary has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from josiecodec.errors import ConfigError

from .blocks import FFTBlock
from .config import VoiceConfig
from .phones import CONSONANTS, VOWELS

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
PHONES = (*CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in "012"))
SLOTS = 3  # phones of a letter at most
LONGEST = 60  # letters of a word; longer ones are read in parts


@dataclass(frozen=True)
class LettersConfig:
    """A network that reads words.

    Attributes:
        kind: "letters".
        letters: that it reads.
        phones: that it answers.
        dim, layers, heads, rank: of its blocks.
    """

    kind: Literal["letters"] = "letters"
    letters: str = LETTERS
    phones: tuple[str, ...] = PHONES
    dim: int = 96
    layers: int = 4
    heads: int = 4
    rank: int = 48

    def __post_init__(self) -> None:
        if not self.letters or not self.phones or len(set(self.letters)) != len(self.letters):
            raise ConfigError("letters: letters are different from each other, at least one, and phones at least one")
        self.block()  # which checks the rest

    def block(self) -> VoiceConfig:
        """The same as settings of a voice's blocks."""
        sizes = {"dim": self.dim, "text_layers": self.layers, "heads": self.heads, "rank": self.rank}
        return VoiceConfig(**sizes, kernel=5, dropout=0.1)  # type: ignore[arg-type]


class LettersToPhones(nn.Module):
    """FFT blocks over letters, then `SLOTS` answers for each, in which blanks and repetitions are left out (CTC)."""

    def __init__(self, config: LettersConfig | None = None):
        super().__init__()
        self.config = config = config or LettersConfig()
        block = config.block()
        self.letters = nn.Embedding(len(config.letters) + 1, config.dim)  # 0 is before and behind a word
        self.blocks = nn.ModuleList(FFTBlock(config.dim, block) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, SLOTS * (len(config.phones) + 1))

    def forward(self, ids: Tensor, keep: Tensor) -> Tensor:
        """Letters int64 [B, L], of which `keep` [B, L, 1] are, -> logits [B, 3 L, phones + 1], the blank first."""
        x = self.letters(ids)
        for block in self.blocks:
            x = block(x, keep)
        y: Tensor = self.head(self.norm(x))
        return y.reshape(len(y), SLOTS * ids.shape[1], -1)

    def ids(self, word: str) -> list[int]:
        """Numbers of a word's letters, with its ends; other characters are left out."""
        return [0, *(self.config.letters.index(c) + 1 for c in word if c in self.config.letters), 0]

    @torch.inference_mode()
    def read(self, word: str) -> list[str]:
        """Phones of a word in lower case; never none for one with letters."""
        if len(word) > LONGEST:
            return self.read(word[:LONGEST]) + self.read(word[LONGEST:])
        ids = torch.tensor([self.ids(word)])
        answers = self(ids, torch.ones(*ids.shape, 1))[0]
        best = answers.argmax(-1).unique_consecutive()
        phones = [self.config.phones[i - 1] for i in best.tolist() if i]
        if not phones and ids.shape[1] > 2:  # one phone, of the slot that was least sure of its blank
            slot = answers.softmax(-1)[:, 0].argmin()
            phones = [self.config.phones[int(answers[slot, 1:].argmax())]]
        return phones
