"""The symbols that voices read: the 39 phones of the CMU dictionary, vowels with their stress, pauses and the rest."""

from __future__ import annotations

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V"),
    *("W", "Y", "Z", "ZH"),
)
EDGE = "_"  # silence before and after a sentence
SPACE = " "  # between words
PAUSES = (",", ".", "?", "!")
SYMBOLS = (EDGE, SPACE, *PAUSES, *CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in "012"))
IDS = {symbol: i for i, symbol in enumerate(SYMBOLS)}


def is_vowel(phone: str) -> bool:
    """Whether a symbol is a vowel, with or without its stress."""
    return phone[:2] in VOWELS
