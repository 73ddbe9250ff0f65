"""Long ids that a text says again: from the second time on, how they begin.

    span=4bf92f3577b34da6a3ce929d0e0e4736 start             [An id that ends in … is the one above that begins so]
    span=4bf92f3577b34da6a3ce929d0e0e4736 end               span=4bf92f3577b34da6a3ce929d0e0e4736 start
                                                            span=4bf92f35… end

For output that no edit will quote: logs, traces, records. UUIDs, hashes, and what services call their things
(``req_011CY1DV6ZcyGeWGTb4kSw2L``). Each id stands in full where it comes first.
"""

import re
from collections import Counter, defaultdict

from headroom.transforms.base import Compressed, Context

LEGEND = "[An id that ends in … is the one above that begins so]\n"
BEGIN = 8
"""Characters of an id that are said again."""
LEAST_GAIN = 40
"""Tokens that must be saved: the legend, and what it costs a reader to look up."""
_CHARACTERS = 3
"""Characters of an id that take a token, about."""
_ID = re.compile(
    r"(?<![\w./-])(?:"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|[0-9a-f]{24,128}"
    r"|(?=[A-Za-z_-]*[0-9])[a-z]{2,12}[_-](?=[0-9a-z_-]*[A-Z])(?=[A-Za-z_-]*[0-9][A-Za-z_-]*[0-9])[0-9A-Za-z]{18,64}"
    r")(?![\w./-])"
)


def compress(text: str, context: Context) -> Compressed | None:
    """The text with ids said in full once; None where that saves too little or … stands at the end of a word."""
    found = _ID.findall(text)
    times = Counter(found)
    again = sum((len(one) - BEGIN) * (many - 1) for one, many in times.items())
    if again < LEAST_GAIN * _CHARACTERS:
        return None
    begins: defaultdict[str, set[str]] = defaultdict(set)
    for one in times:
        begins[_begin(one)].add(one)
    if any(f"{begin}…" in text for begin in begins):
        return None
    seen: set[str] = set()

    def shorter(match: re.Match[str]) -> str:
        one = match[0]
        if one not in seen:
            seen.add(one)
            return one
        begin = _begin(one)
        return f"{begin}…" if len(begins[begin]) == 1 else one

    out = LEGEND + _ID.sub(shorter, text)
    return Compressed(out, "ids") if context.count(text) - context.count(out) >= LEAST_GAIN else None


def _begin(one: str) -> str:
    """What is said again: the first characters, behind what names the kind of an id."""
    kind = max(one.rfind("_", 0, 13), one.rfind("-", 0, 8)) + 1
    return one[: kind + BEGIN]
