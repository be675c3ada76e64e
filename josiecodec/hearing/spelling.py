"""Texts as the letters that an aligner knows, word by word, with the way back to the words as they were written."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Sequence

from ..errors import CodecError
from .alignment import ANY

_LIGATURES = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "\u0131": "i", "\u2019": "'", "\u2018": "'"}
)
_HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))


def written_words(text: str, language: str) -> list[str]:
    """The words of a text as they stand there: parts between blanks, of Chinese each character by itself.

    Parts without a letter or digit, such as a dash, belong to no word and are left out.
    """
    parts = text.split()
    if language == "zh":
        parts = [piece for part in parts for piece in _characters(part)]
    return [part for part in parts if any(c.isalnum() for c in part)]


def spelled(words: Sequence[str], letters: str, language: str) -> list[list[int]]:
    """Words as numbers of `letters`; a word that has none of them, as one in digits, is `ANY` once.

    Accents are dropped, and letters that are none of `letters` left out; Chinese is spelled in pinyin without tones.

    Raises:
        CodecError: if that needs a package that is not installed.
    """
    if language == "zh":
        words = _pinyin(words)
    known = {letter: number for number, letter in enumerate(letters) if letter != " "}
    out = []
    for word in words:
        plain = unicodedata.normalize("NFKD", word.casefold().translate(_LIGATURES))
        numbers = [known[c] for c in plain if c in known] if not any(c.isdigit() for c in plain) else []
        sounds = [n for n in numbers if letters[n] != "'"]
        out.append(numbers if sounds else [ANY])
    return out


def _characters(part: str) -> list[str]:
    """Each Chinese character by itself, and what lies between them."""
    out: list[str] = []
    for c in part:
        if _is_han(c) or not out or _is_han(out[-1][-1]):
            out.append(c)
        else:
            out[-1] += c
    return out


def _is_han(c: str) -> bool:
    return any(low <= ord(c) <= high for low, high in _HAN)


def _pinyin(words: Sequence[str]) -> list[str]:
    """Chinese characters as their sounds, seen in their context."""
    if not any(_is_han(c) for word in words for c in word):
        return list(words)
    if importlib.util.find_spec("pypinyin") is None:
        raise CodecError("Chinese characters need pypinyin: pip install pypinyin")
    from pypinyin import lazy_pinyin

    sounds = iter(lazy_pinyin("".join(w for w in words if len(w) == 1 and _is_han(w)), errors=lambda x: list(x)))
    return [next(sounds).replace("ü", "v") if len(w) == 1 and _is_han(w) else w for w in words]
