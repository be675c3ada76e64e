"""Words as phones: by the CMU pronouncing dictionary, which is in the package; words that it lacks by their letters."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from .phones import CONSONANTS, EDGE, SPACE, is_vowel
from .words import Piece

Reader = Callable[[str], list[str]]  # letters a to z and apostrophes -> phones

DICTIONARY = Path(__file__).parent / "data" / "cmudict.txt.gz"

# Words of grammar, which sentences do not stress, or stress less than others.
UNSTRESSED = set(
    [
        "a",
        "an",
        "the",
        "and",
        "or",
        "but",
        "nor",
        "of",
        "to",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "with",
        "as",
        "than",
        "if",
        "that's",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "am",
        "has",
        "have",
        "had",
        "do",
        "does",
        "did",
        "can",
        "could",
        "will",
        "would",
        "shall",
        "should",
        "may",
        "might",
        "must",
        "it",
        "its",
        "us",
        "them",
        "him",
        "her",
        "me",
        "you",
        "your",
        "he",
        "she",
        "we",
        "they",
        "his",
        "their",
        "our",
        "my",
        "i",
        "i'm",
        "i'll",
        "i've",
        "i'd",
        "it's",
        "he's",
        "she's",
        "we're",
        "they're",
        "you're",
        "you'll",
        "don't",
        "so",
        "some",
        "any",
        "there",
    ]
)
WEAK = {
    **{"a": "AH0", "an": "AE0 N", "the": "DH AH0", "and": "AE0 N D", "to": "T AH0", "of": "AH0 V", "or": "AO0 R"},
    **{"for": "F AO0 R", "was": "W AH0 Z", "from": "F R AH0 M", "than": "DH AE0 N", "i": "AY2", "her": "HH ER0"},
}
BEFORE_VOWEL = {"the": "DH IY0", "to": "T UH0"}
SPELLED = {
    **{"a": "EY1", "b": "B IY1", "c": "S IY1", "d": "D IY1", "e": "IY1", "f": "EH1 F", "g": "JH IY1", "h": "EY1 CH"},
    **{"i": "AY1", "j": "JH EY1", "k": "K EY1", "l": "EH1 L", "m": "EH1 M", "n": "EH1 N", "o": "OW1", "p": "P IY1"},
    **{"q": "K Y UW1", "r": "AA1 R", "s": "EH1 S", "t": "T IY1", "u": "Y UW1", "v": "V IY1"},
    **{"w": "D AH1 B AH0 L Y UW2", "x": "EH1 K S", "y": "W AY1", "z": "Z IY1"},
}
OWN = {
    "o'clock": "AH0 K L AA1 K",
    "missus": "M IH1 S IH0 Z",
    "miz": "M IH1 Z",
    "oh": "OW1",
    "messieurs": "M EY0 S Y ER1 Z",
}


@cache
def dictionary() -> dict[str, list[str]]:
    """Words of the CMU dictionary with their first pronunciation (`data/README.md`)."""
    with gzip.open(DICTIONARY, "rt", encoding="ascii") as file:
        return {word: phones.split() for word, phones in (line.split(" ", 1) for line in file)}


class Lexicon:
    """Reads words.

    Args:
        reader: of words that the dictionary lacks.
        known: the dictionary; None for none.
    """

    def __init__(self, reader: Reader, known: dict[str, list[str]] | None = None):
        self.reader, self.known = reader, known or {}

    def word(self, text: str) -> list[str]:
        """Phones of a word as `Piece.text` has it, by itself."""
        lower = text.lower()
        if re.fullmatch("[A-Z]{2,}'s", text):
            base = self.word(text[:-2])
            return base + _genitive(base[-1])
        if text.isupper() and (len(text) == 1 or (len(text) <= 5 and not self._spoken(lower))):
            return [phone for letter in lower for phone in SPELLED[letter].split()]
        if lower in OWN:
            return OWN[lower].split()
        if lower in self.known:
            return self.known[lower]
        for end in ("'s", "s'", "'"):
            if lower.endswith(end) and len(lower) > len(end):
                base = self.word(lower[: -len(end)] if end != "s'" else lower[:-1])
                return base + (_genitive(base[-1]) if end == "'s" else [])
        if len(lower) == 1 and lower in SPELLED:
            return SPELLED[lower].split()
        if not any(c in "aeiouy" for c in lower) and len(lower) < 6:
            return [phone for letter in lower if letter in SPELLED for phone in SPELLED[letter].split()]
        return self.reader(lower)

    def sentence(self, pieces: list[Piece]) -> tuple[list[str], list[int]]:
        """Symbols of a sentence, and which piece each belongs to: -1 for silence at the ends and gaps between words."""
        read = [None if piece.is_pause else self.word(piece.text) for piece in pieces]
        symbols, owners = [EDGE], [-1]
        for i, (piece, phones) in enumerate(zip(pieces, read, strict=True)):
            if phones is None:
                symbols.append(piece.text)
                owners.append(i)
                continue
            following = next((r for r in read[i + 1 : i + 2] if r), None)
            phones = _in_context(piece.text, phones, following)
            if i:
                symbols.append(SPACE)
                owners.append(-1)
            symbols += phones
            owners += [i] * len(phones)
        return [*symbols, EDGE], [*owners, -1]

    def _spoken(self, lower: str) -> bool:
        """Whether capitals are a word all the same, such as NASA: they are in the dictionary and can be pronounced."""
        return lower in self.known and len(lower) > 3


def _in_context(word: str, phones: list[str], following: list[str] | None) -> list[str]:
    if word in BEFORE_VOWEL and following and is_vowel(following[0]):
        return BEFORE_VOWEL[word].split()
    if word in WEAK:
        return WEAK[word].split()
    if word in UNSTRESSED:
        return [phone[:-1] + "0" if is_vowel(phone) else phone for phone in phones]
    return phones


def _genitive(last: str) -> list[str]:
    if last in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return ["IH0", "Z"]
    return ["S"] if last in CONSONANTS and last in ("P", "T", "K", "F", "TH") else ["Z"]
