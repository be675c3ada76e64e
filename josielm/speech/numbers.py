"""Numbers as English words."""

from __future__ import annotations

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
GROUPS = ("", "thousand", "million", "billion", "trillion", "quadrillion")
ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"},
    "twelve": "twelfth",
}
MOST_DIGITS = 18  # longer numbers are read digit by digit


def cardinal(digits: str) -> list[str]:
    """Words of a whole number in digits: "120" is "one hundred twenty"."""
    value = int(digits)
    if len(digits) > MOST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return spelled(digits)
    if value == 0:
        return ["zero"]
    words: list[str] = []
    for power in range(len(GROUPS) - 1, -1, -1):
        group = value // 1000**power % 1000
        if group:
            words += [*_below_thousand(group), *([GROUPS[power]] if power else [])]
    return words


def ordinal(digits: str) -> list[str]:
    """Words of a place in an order: "21" is "twenty first"."""
    words = cardinal(digits)
    last = words[-1]
    if last in ORDINALS:
        words[-1] = ORDINALS[last]
    else:
        words[-1] = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return words


def year(digits: str) -> list[str]:
    """Words of a year of four digits: "1984" is "nineteen eighty four"."""
    first, second = int(digits[:2]), int(digits[2:])
    if first % 10 == 0 and second < 10:  # 2005, but also 1000
        return cardinal(digits)
    if second == 0:
        return [*_below_thousand(first), "hundred"]
    if second < 10:
        return [*_below_thousand(first), "oh", ONES[second]]
    return [*_below_thousand(first), *_below_thousand(second)]


def decimal(digits: str, behind: str) -> list[str]:
    """Words of a number with digits behind its point: "3" and "14" are "three point one four"."""
    return [*cardinal(digits or "0"), "point", *spelled(behind)]


def spelled(digits: str) -> list[str]:
    """Digit by digit."""
    return [ONES[int(digit)] for digit in digits]


def plural(words: list[str]) -> list[str]:
    """The last word in the plural: "nineteen nineties"."""
    last = words[-1]
    return [*words[:-1], last[:-1] + "ies" if last.endswith("y") else last + ("es" if last.endswith("x") else "s")]


def _below_thousand(value: int) -> list[str]:
    words = [ONES[value // 100], "hundred"] if value >= 100 else []
    value %= 100
    if value >= 20:
        words.append(TENS[value // 10])
        value %= 10
        return [*words, ONES[value]] if value else words
    return [*words, ONES[value]] if value else words
