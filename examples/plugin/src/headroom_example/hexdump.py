"""Hex dumps (xxd, hexdump -C) without the lines that repeat the bytes before them.

hexdump's own convention: a `*` stands for lines whose bytes are those of the line above it. The offset of the next line
says how many they are, so nothing is lost; the last line of a dump always stays.
"""

import re
import tomllib
from functools import lru_cache

from headroom.paths import plugin_config_dir
from headroom.transforms.base import Compressed, Context

_line = re.compile(r"[0-9a-f]{8}(:? [ 0-9a-f]+ .*)").fullmatch
MOST_OTHERS = 0.2
"""Share of lines that may be none of a dump's."""


@lru_cache(maxsize=1)
def least_lines() -> int:
    """The setting, read once a process: a transform gives the same for the same text."""
    file = plugin_config_dir("hexdump") / "config.toml"
    settings = tomllib.loads(file.read_text()) if file.is_file() else {}
    return max(1, int(settings.get("least_lines", 3)))


def compress(text: str, context: Context) -> Compressed | None:
    """None for what is no hex dump, and where nothing repeats."""
    lines = text.split("\n")
    found = [_line(line) for line in lines]
    if sum(match is None for match in found) > max(1, MOST_OTHERS * len(lines)):
        return None
    written: list[str] = []
    start = 0
    while start < len(lines):
        here, end = found[start], start + 1
        while here and end < len(lines) and (there := found[end]) and there[1] == here[1]:
            end += 1
        is_last = end >= len(lines) or found[end] is None
        repeated = end - start - 1 - is_last
        if repeated >= least_lines():
            written += [lines[start], "*", *([lines[end - 1]] if is_last else [])]
        else:
            written += lines[start:end]
        start = end
    return Compressed("\n".join(written), "hexdump") if len(written) < len(lines) else None
