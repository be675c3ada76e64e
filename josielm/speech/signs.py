"""Abbreviations, units and signs, and how they are said."""

from __future__ import annotations

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
TITLES = {
    **{"mr": "mister", "mrs": "missus", "ms": "miz", "messrs": "messieurs", "dr": "doctor", "prof": "professor"},
    **{"st": "saint", "rev": "reverend", "gen": "general", "col": "colonel", "capt": "captain", "lt": "lieutenant"},
    **{"sgt": "sergeant", "hon": "honorable", "jr": "junior", "sr": "senior", "mt": "mount"},
}
ABBREVIATIONS = {
    **TITLES,
    **{"etc": "et cetera", "vs": "versus", "no": "number", "vol": "volume", "approx": "approximately"},
    **{"dept": "department", "inc": "incorporated", "ltd": "limited", "co": "company", "corp": "corporation"},
    **{"ave": "avenue", "blvd": "boulevard", "fig": "figure", "est": "established", "ed": "edition"},
    **{"jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june", "jul": "july"},
    **{"aug": "august", "sep": "september", "sept": "september", "oct": "october", "nov": "november"},
    **{"dec": "december", "p": "page", "pp": "pages"},
}
ROADS = {"st": "street", "dr": "drive"}  # behind a name
ONLY_BEFORE_DIGITS = {"no", "vol", "fig", "p", "pp"}  # "no." also ends sentences
UNITS = {
    **{"km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "kg": "kilogram", "g": "gram"},
    **{"mg": "milligram", "l": "liter", "ml": "milliliter", "h": "hour", "hr": "hour", "hrs": "hour"},
    **{"min": "minute", "mins": "minute", "s": "second", "sec": "second", "ms": "millisecond", "ft": "foot"},
    **{"lb": "pound", "lbs": "pound", "oz": "ounce", "mi": "mile", "mph": "mile per hour", "kb": "kilobyte"},
    **{"mb": "megabyte", "gb": "gigabyte", "tb": "terabyte", "hz": "hertz", "khz": "kilohertz"},
    **{"mhz": "megahertz", "ghz": "gigahertz", "kw": "kilowatt", "w": "watt", "v": "volt", "°c": "degree celsius"},
    **{"°f": "degree fahrenheit", "°": "degree", "%": "percent", "km/h": "kilometer per hour"},
    **{"m/s": "meter per second"},
}
MONEY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "sen")}
PLURALS = {"foot": "feet", "penny": "pence", "percent": "percent", "hertz": "hertz", "yen": "yen", "sen": "sen"}
SIGNS = {
    **{"&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "#": "number", "*": "star"},
    **{"/": "slash", "<": "less than", ">": "greater than", "~": "about", "°": "degrees", "\u00d7": "times"},
    **{"÷": "divided by", "§": "section", "\\": "backslash", "^": "caret", "|": "bar", "_": "underscore"},
    **{"$": "dollar", "£": "pound", "€": "euro", "¥": "yen", "≠": "is not equal to"},
    **{"≤": "at most", "≥": "at least", "≈": "about"},
}
PAUSE_OF = {
    **{",": ",", ";": ",", ":": ",", "—": ",", "\u2013": ",", "(": ",", ")": ",", "[": ",", "]": ","},
    **{".": ".", "?": "?", "!": "!", "…": "."},
}
QUIET = set("\"'“”„\u2018\u2019\u201a«»\u2039\u203a`-\u2010\u2011•·{}™®©\u200b\ufeff\u00ad")
LETTERS = {"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "Oe", "ł": "l", "Ł": "L"} | {
    **{"đ": "d", "Đ": "D", "ð": "th", "þ": "th", "\u0131": "i"},
}
SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion"}
IN_SITES = {".": "dot", "-": "dash", ":": "colon", "?": "question mark", "#": "hash", "~": "tilde"}
KEPT = {*SIGNS, *PAUSE_OF, *QUIET, "\u2212"}
