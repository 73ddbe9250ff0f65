"""Python's tracebacks: each frame as path:line, and a path that is the one of the frame before not said again.

File "/srv/shop/orders.py", line 40, in save         /srv/shop/orders.py:40 in save
  self.check(order)                                    self.check(order)
File "/srv/shop/orders.py", line 61, in check        same file:61 in check
  raise ValueError(order)                              raise ValueError(order)
"""

import re

from headroom.transforms.base import Compressed, Context

SAME = "same file"
"""Stands for the path of the frame before."""
LEAST_FRAMES = 3

_HEADING = "Traceback (most recent call last):"
_FRAME = re.compile(r'^( *)File "([^"\n]+)", line ([0-9]+), in (?=\S)', re.M)
_TAKEN = re.compile(rf"^ *(?:{SAME}|/\S+|\S+\.py):[0-9]+ in ", re.M)


def compress(text: str, context: Context) -> Compressed | None:
    """Write the frames of tracebacks short; None where there are few, or a line could be taken for such a frame."""
    if _HEADING not in text or _TAKEN.search(text):
        return None
    out: list[str] = []
    at = frames = 0
    path = ""
    for frame in _FRAME.finditer(text):
        before = text[at : frame.start()]
        said = SAME if frame[2] == path and _HEADING not in before else frame[2]
        path = frame[2]
        out += [before, frame[1], said, ":", frame[3], " in "]
        at = frame.end()
        frames += 1
    if frames < LEAST_FRAMES:
        return None
    return Compressed("".join((*out, text[at:])), "tracebacks")
