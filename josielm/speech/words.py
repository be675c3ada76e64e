"""Text as words that are spoken: numbers, money, times, units, abbreviations and signs become words.

Each piece keeps the place in the text that it comes from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from josiecodec.errors import CodecError

from .numbers import ONES, cardinal, decimal, ordinal, plural, spelled, year
from .roman import COUNTED, REIGNS, roman
from .signs import (
    ABBREVIATIONS,
    IN_SITES,
    KEPT,
    LETTERS,
    MONEY,
    MONTHS,
    ONLY_BEFORE_DIGITS,
    PAUSE_OF,
    PLURALS,
    QUIET,
    ROADS,
    SCALES,
    SIGNS,
    TITLES,
    UNITS,
)

NO_ENDS = {*TITLES, "i.e", "e.g", "vs", "cf"}
MOST_PIECES = 45  # words of a sentence; longer ones are divided at a pause

_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
_UNIT = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
_PATTERNS = {
    "money": rf"(?P<sign>[$£€¥])\s?(?P<sum>{_NUMBER})(?:\.(?P<part>\d+))?(?:\s?(?P<scale>hundred|thousand|million|"
    r"billion|trillion|[kKmMbB]n?)\b)?",
    "mail": r"(?P<mail>[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
    "date": r"(?P<dy>\d{4})-(?P<dm>0[1-9]|1[0-2])-(?P<dd>0[1-9]|[12]\d|3[01])(?!\d)",
    "slashed": r"(?P<sm>0?[1-9]|1[0-2])/(?P<sd>0?[1-9]|[12]\d|3[01])/(?P<sy>\d{4})(?!\d)",
    "month": rf"(?P<month>{'|'.join(MONTHS)}) (?P<day>0?[1-9]|[12]\d|3[01])"
    r"(?=,? \d{4}\b|[.,;:!?)]*(?:\s*$|\s+[A-Z]))",
    "day": rf"(?<!\d)(?P<first>0?[1-9]|[12]\d|3[01]) (?P<of>{'|'.join(MONTHS)})\b",
    "phone": r"(?P<phone>(?:\+\d{1,3}[ -]?)?(?:\(\d{3}\)\s?|\d{3}[ -])?\d{3}-\d{4}|\d+(?:-\d+){2,})(?![\d-])",
    "version": r"(?P<version>\d+(?:\.\d+){2,})(?!\d)",
    "time": r"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::[0-5]\d)?(?:\s?(?P<half>[aApP])\.?[mM]\b\.?(?=\W|$))?",
    "clock": r"(?P<chour>1[0-2]|0?[1-9])\s?(?P<chalf>[aApP])\.?[mM]\b\.?",
    "place": rf"(?P<ordinal>{_NUMBER})(?:st|nd|rd|th)\b",
    "decade": r"(?:['\u2019](?=\d\ds))?(?P<years>\d{4}|\d0)s\b",
    "fraction": r"(?:(?P<whole>\d+)\s+)?(?P<upper>\d{1,2})/(?P<lower>\d{1,2})(?![\d/])",
    "range": r"(?P<from>\d+)\s?[-\u2013]\s?(?P<to>\d+)(?![\d-])",
    "measure": rf"(?P<minus>(?<![\w.])[-\u2212])?(?P<many>{_NUMBER})(?:\.(?P<rest>\d+))?"
    rf"(?:\s?(?P<unit>(?i:{_UNIT}))(?!\w))?",
    "dotted": r"(?P<initials>(?:[A-Za-z]\.){2,}|Ph\.D\.)(?=\W|$)|(?P<initial>[A-Z]\.)(?=\s*[A-Z])",
    "site": r"(?P<site>(?:https?://[A-Za-z0-9._-]*[A-Za-z0-9]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\."
    r"(?:com|org|net|edu|gov|io|ai|dev|uk|de)\b)(?::\d+)?(?:/[A-Za-z0-9_~/?&=%#.+-]*[A-Za-z0-9/]|/)?)",
    "short": r"(?P<short>[A-Za-z]+)\.(?=\W|$)",
    "word": r"(?P<word>[A-Za-z]+(?:['\u2019][A-Za-z]+)*['\u2019]?)",
}
_SCANNER = re.compile(
    "|".join(f"(?P<{name}_>{pattern})" for name, pattern in _PATTERNS.items()) + "|(?P<other>.)", re.S
)
_END = re.compile(r"[.!?…]+[\"'”\u2019)\]]*\s+(?=[\"'“\u2018(\[]*[A-Z0-9])|\s*\n\s*\n\s*")


class TextError(CodecError):
    """Text that cannot be spoken."""


@dataclass(frozen=True)
class Piece:
    """A word, or a pause.

    Attributes:
        text: in lower case letters and apostrophes; capitals are letters that are spelled; or one of , . ? !
        start, end: where in the text it comes from, characters from 0; `end` is exclusive.
    """

    text: str
    start: int
    end: int

    @property
    def is_pause(self) -> bool:
        """Whether it is a pause."""
        return self.text in ",.?!"


def sentences(text: str) -> list[list[Piece]]:
    """Sentences of a text, each of words and pauses, at least one word in each.

    Raises:
        TextError: if there is nothing to say, or characters that are neither Latin letters nor signs known here.
    """
    found: list[list[Piece]] = []
    plain, places = _plain(text)
    begin = 0
    for end in [*_ends(plain), len(plain)]:
        pieces = _pieces(plain, begin, end)
        pieces = [Piece(p.text, places[p.start], places[p.end - 1] + 1) for p in pieces]
        found += [part for part in _divided(pieces) if any(not p.is_pause for p in part)]
        begin = end
    if not found:
        raise TextError("there is nothing to say: the text has no words")
    return found


def _plain(text: str) -> tuple[str, list[int]]:
    """Text in ASCII letters and known signs, and where each of its characters was."""
    out: list[str] = []
    places: list[int] = []
    unknown: list[str] = []
    for place, character in enumerate(text):
        new = LETTERS.get(character, character)
        if new not in SIGNS and new not in PAUSE_OF and new not in QUIET and not new.isascii():
            parts = unicodedata.normalize("NFKD", new)
            new = "".join(c for c in parts if not unicodedata.combining(c))
            if "\u2044" in new:  # a fraction that is one character
                new = (" " if out and out[-1].isdigit() else "") + new.replace("\u2044", "/")
        for c in new:
            if c.isspace() or c in KEPT or (c.isascii() and c.isalnum()):
                out.append(c)
                places.append(place)
            elif c not in unknown:
                unknown.append(c)
    if unknown:
        shown = " ".join(repr(c)[1:-1] if not c.isprintable() else c for c in unknown[:8])
        raise TextError(f"characters that cannot be spoken: {shown}{' ...' if len(unknown) > 8 else ''}")
    return "".join(out), places


def _ends(text: str) -> list[int]:
    """Where sentences end."""
    ends = []
    for match in _END.finditer(text):
        before = re.search(r"([A-Za-z.]+)$", text[: match.start()])
        word = before[1] if before else ""
        if match[0].startswith(".") and (word.lower() in NO_ENDS or re.fullmatch(r"(?:[A-Z]\.)*[A-Z]", word)):
            continue
        if match[0].startswith(".") and word.lower() in ONLY_BEFORE_DIGITS and text[match.end()].isdigit():
            continue
        ends.append(match.end())
    return ends


def _pieces(text: str, begin: int, end: int) -> list[Piece]:
    pieces: list[Piece] = []
    shouted = not re.search("[a-z]", text[begin:end]) and len(re.findall("[A-Z]+", text[begin:end])) > 2
    position = begin
    while position < end:
        match = _SCANNER.match(text, position, end)
        assert match is not None
        name = next(
            n for n, value in match.groupdict().items() if (value is not None and n.endswith("_")) or n == "other"
        )
        said, stop = _RULES[name](match, shouted), match.end()
        if said is None:  # an abbreviation that is none: the word, and its stop by itself
            said, stop = _named(match, shouted), match.end() - 1
        for word in said:
            if word in PAUSE_OF.values():
                _add_pause(pieces, word, position, stop)
            else:
                pieces.append(Piece(word, position, stop))
        position = stop
    if pieces and not pieces[-1].is_pause:
        pieces.append(Piece(".", end - 1, end))
    return pieces


def _add_pause(pieces: list[Piece], pause: str, start: int, end: int) -> None:
    """One pause after a word, the strongest of several."""
    if not pieces:
        return
    if pieces[-1].is_pause:
        order = ",.!?"
        if order.index(pause) > order.index(pieces[-1].text):
            pieces[-1] = Piece(pause, pieces[-1].start, end)
        return
    pieces.append(Piece(pause, start, end))


def _divided(pieces: list[Piece]) -> list[list[Piece]]:
    """A sentence in parts of `MOST_PIECES` at most, at pauses where there are some."""
    parts = []
    while len(pieces) > MOST_PIECES:
        cut = max((i + 1 for i, p in enumerate(pieces[:MOST_PIECES]) if p.is_pause), default=0)
        cut = cut if cut >= 8 else MOST_PIECES
        part, pieces = pieces[:cut], pieces[cut:]
        parts.append(part if part[-1].is_pause else [*part, Piece(",", part[-1].end - 1, part[-1].end)])
    return [*parts, pieces] if pieces else parts


# What becomes of the matches of the patterns --------------------------------------------------------------------


def _digits(text: str) -> str:
    return text.replace(",", "")


def _many(words: list[str], unit: str) -> list[str]:
    """A number of units, one or more of them."""
    first, *rest = unit.split()
    if words != ["one"]:
        first = first if first.endswith("hertz") else PLURALS.get(first, first + "s")
    return [*words, first, *rest]


def _money(m: re.Match[str], _: bool) -> list[str]:
    whole, part, scale = _digits(m["sum"]), m["part"], m["scale"]
    unit, small = MONEY[m["sign"]]
    if scale:
        number = decimal(whole, part) if part else cardinal(whole)
        return [*number, SCALES.get(scale.lower(), scale.lower()), PLURALS.get(unit, unit + "s")]
    if part is None or int(part) == 0:
        return _many(cardinal(whole), unit)
    if len(part) != 2:
        return _many(decimal(whole, part), unit)
    cents = _many(cardinal(str(int(part))), small)
    return cents if int(whole) == 0 else [*_many(cardinal(whole), unit), "and", *cents]


def _time(m: re.Match[str], _: bool) -> list[str]:
    hour, minute, half = str(int(m["hour"])), m["minute"], m["half"]
    words = cardinal(hour)
    if int(minute):
        words += ["oh", ONES[int(minute)]] if minute[0] == "0" else cardinal(minute)
    elif not half:
        words += ["o'clock"] if 1 <= int(hour) <= 12 else ["hundred"]
    return [*words, *([half.upper(), "M"] if half else [])]


def _date(m: re.Match[str], _: bool) -> list[str]:
    return [MONTHS[int(m["dm"]) - 1].lower(), *ordinal(str(int(m["dd"]))), *year(m["dy"])]


def _slashed(m: re.Match[str], _: bool) -> list[str]:
    """Month, day and year, as they are written in America."""
    return [MONTHS[int(m["sm"]) - 1].lower(), *ordinal(str(int(m["sd"]))), *year(m["sy"])]


def _day(m: re.Match[str], _: bool) -> list[str]:
    begun = m.string[: m.start()].lower().endswith("the ")
    return [*([] if begun else ["the"]), *ordinal(str(int(m["first"]))), "of", m["of"].lower()]


def _phone(m: re.Match[str], _: bool) -> list[str]:
    """Groups of digits, one after the other."""
    words: list[str] = ["plus"] if m["phone"][0] == "+" else []
    for number, group in enumerate(re.findall(r"\d+", m["phone"])):
        words += [*([","] if number else []), *spelled(group)]
    return words


def _version(m: re.Match[str], _: bool) -> list[str]:
    first, *rest = m["version"].split(".")
    return [*cardinal(first), *(word for part in rest for word in ("point", *cardinal(part)))]


def _decade(m: re.Match[str], _: bool) -> list[str]:
    years = m["years"]
    return plural(year(years) if len(years) == 4 and years != "2000" else cardinal(years))


def _fraction(m: re.Match[str], _: bool) -> list[str]:
    upper, lower = int(m["upper"]), int(m["lower"])
    if m[0] == "24/7":
        return ["twenty", "four", "seven"]
    if lower == 0:
        return [*cardinal(m["upper"]), "over", "zero"]
    name = {2: ["half"], 4: ["quarter"]}.get(lower) or ordinal(str(lower))
    if upper != 1:
        name = ["halves"] if lower == 2 else [*name[:-1], name[-1] + "s"]
    words = [*cardinal(str(upper)), *name]
    return [*cardinal(m["whole"]), "and", *words] if m["whole"] else words


def _number(digits: str) -> list[str]:
    """A whole number without unit: those of four digits that may be a year are read like one."""
    if len(digits) == 4 and digits.isdigit() and 1100 <= int(digits) < 2100 and digits[1:] != "000":
        return year(digits)
    return cardinal(_digits(digits))


def _measure(m: re.Match[str], _: bool) -> list[str]:
    many, rest, unit = m["many"], m["rest"], m["unit"]
    words = decimal(_digits(many), rest) if rest else (cardinal(_digits(many)) if unit else _number(many))
    if unit:
        words = _many(words, UNITS[unit.lower()])
    return ["minus", *words] if m["minus"] else words


def _short(m: re.Match[str], shouted: bool) -> list[str] | None:
    word = m["short"].lower()
    if word in ROADS and re.search(r"[A-Z][a-z]+\s+$", m.string[: m.start()]):
        after = m.string[m.end() :].lstrip()[:1]
        if not after.isupper():
            return [ROADS[word], *([] if after else ["."])]
    behind = m.string[m.end() : m.end() + 2].lstrip()[:1]
    if word not in ABBREVIATIONS or (word in ONLY_BEFORE_DIGITS and not behind.isdigit()):
        return None
    title = word in TITLES or word in ONLY_BEFORE_DIGITS
    ends = not title and (not behind or behind in "\"'”\u2019)") and m.end() >= len(m.string.rstrip(" \n\"'”\u2019)"))
    return [*ABBREVIATIONS[word].split(), *(["."] if ends else [])]


def _word(word: str, shouted: bool) -> str:
    word = word.replace("\u2019", "'").rstrip("'")
    if not shouted and (many := re.fullmatch(r"([A-Z]{2,})'?s", word)):
        return f"{many[1]}'s"  # PCs and PC's sound alike
    if len(word) > 1 and word.isupper() and not shouted and "'" not in word:
        return word  # spelled, or a word after all: the lexicon knows
    return word.lower()


def _initials(m: re.Match[str], _: bool) -> list[str]:
    letters = (m["initials"] or m["initial"]).replace(".", "").upper()
    if letters in ("EG", "IE"):
        return {"EG": ["for", "example"], "IE": ["that", "is"]}[letters]
    ends = m.end() >= len(m.string.rstrip())
    return [*letters, *(["."] if ends else [])]


def _site(m: re.Match[str], shouted: bool) -> list[str]:
    words: list[str] = []
    for part in re.findall(r"[A-Za-z]+|\d+|[^A-Za-z\d]", re.sub(r"^https?://", "", m[0])):
        if part.isdigit():
            words += spelled(part)
        else:
            words += (IN_SITES.get(part) or SIGNS.get(part) or _word(part, shouted)).split()
    return words


def _named(m: re.Match[str], shouted: bool) -> list[str]:
    """A word; Roman numbers behind what is counted by them, and those that are hardly anything else."""
    word = m["word"] or m["short"]
    if not shouted and (number := roman(word)):
        before = re.search(r"([A-Z][a-z]+)\s+$", m.string[max(0, m.start() - 40) : m.start()])
        name = before[1].lower() if before else ""
        if name in REIGNS and (word != "I" or re.match(r"\s+(?:of|was)\b|\W*$", m.string[m.end() :])):
            return ["the", *ordinal(str(number))]
        if name in COUNTED or word in ("II", "III", "VII", "VIII", "IX", "XII", "XIII", "XIV", "XV", "XVI"):
            return cardinal(str(number))
    return [_word(word, shouted)]


def _other(m: re.Match[str], _: bool) -> list[str]:
    sign = m["other"]
    if sign in PAUSE_OF:
        return [PAUSE_OF[sign]]
    if sign in "-" and m.string[m.start() - 1 : m.start()] in (" ", "-"):  # a dash that is typed as one or two hyphens
        return [","]
    return SIGNS[sign].split() if sign in SIGNS else []


_RULES: dict[str, Callable[[re.Match[str], bool], list[str] | None]] = {
    "money_": _money,
    "date_": _date,
    "slashed_": _slashed,
    "month_": lambda m, _: [m["month"].lower(), *ordinal(str(int(m["day"])))],
    "day_": _day,
    "phone_": _phone,
    "version_": _version,
    "mail_": _site,
    "time_": _time,
    "clock_": lambda m, _: [*cardinal(str(int(m["chour"]))), m["chalf"].upper(), "M"],
    "place_": lambda m, _: ordinal(_digits(m["ordinal"])),
    "decade_": _decade,
    "fraction_": _fraction,
    "range_": lambda m, _: [*_number(m["from"]), "to", *_number(m["to"])],
    "measure_": _measure,
    "dotted_": _initials,
    "site_": _site,
    "short_": _short,
    "word_": _named,
    "other": _other,
}
