"""Roman numbers, and the names that they follow."""

from __future__ import annotations

import re

# Behind these they count ("World War II": two).
COUNTED = {
    *("war", "chapter", "part", "act", "scene", "volume", "book", "section", "article", "title", "phase", "type"),
    *("class", "level", "stage", "grade", "figure", "table", "appendix", "apollo", "bowl", "canto", "mark"),
}
# Behind these they order ("Henry VIII": the eighth).
REIGNS = {
    *("henry", "louis", "elizabeth", "charles", "george", "edward", "james", "william", "richard", "john", "paul"),
    *("pius", "benedict", "gregory", "leo", "nicholas", "alexander", "catherine", "peter", "frederick", "philip"),
    *("napoleon", "mary", "ivan", "otto", "ferdinand", "francis", "wilhelm", "felipe", "harald", "margrethe"),
}


def roman(text: str) -> int:
    """The number that a text of I, V and X is, 1 to 39; 0 if it is none."""
    found = re.fullmatch(r"(X{0,3})(IX|IV|V?I{0,3})", text)
    if found is None or not text:
        return 0
    ones = {"IX": 9, "IV": 4}.get(found[2])
    return 10 * len(found[1]) + (ones if ones is not None else found[2].count("I") + 5 * found[2].count("V"))
