"""Texts of several kinds: JSON and fenced blocks between other text, each written as its own kind is.

    Deploying shop 1.4                  Deploying shop 1.4
    {                                   replicas: 3
      "replicas": 3,                    image: shop:1.4
      "image": "shop:1.4"               done in 4 s
    }
    done in 4 s

Diffs need nothing of this: ``diff`` finds them between other lines. JSON and source code in a fence show how something
is to be written, and stay.
"""

import re
from collections.abc import Callable, Iterator

from headroom.transforms.base import Compressed

LEAST = 200
"""Characters of a part that is worth another form."""

_FENCE = re.compile(r"^(?P<mark>`{3,}|~{3,})[\w+-]*[^\S\n]*\n(?P<body>.*?\n)(?P=mark)[^\S\n]*$", re.M | re.S)
_OPENS = re.compile(r"^(?:`{3,}|~{3,})", re.M)


def fences(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of what stands in each fence, without the last line's end."""
    at = 0
    while opens := _OPENS.search(text, at):
        found = _FENCE.match(text, opens.start())
        if found is None:
            return
        if found.end("body") - found.start("body") > LEAST:
            yield found.start("body"), found.end("body") - 1
        at = found.end()


def fenced(text: str, write: Callable[[str], Compressed | None]) -> Compressed | None:
    """The text with each fenced block as ``write`` gives it; None where it gives none."""
    out: list[str] = []
    strategies: list[str] = []
    done = left_out = 0
    lossless = True
    for start, end in fences(text):
        form = write(text[start:end])
        if form is not None and len(form.text) < end - start:
            out += [text[done:start], form.text]
            done = end
            strategies.append(form.strategy)
            left_out += form.left_out
            lossless = lossless and form.lossless
    if not out:
        return None
    return Compressed("".join([*out, text[done:]]), strategies[0], lossless, left_out)
