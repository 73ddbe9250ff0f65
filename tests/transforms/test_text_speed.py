"""No text, however strange, takes long: time grows with the length and no faster."""

import time

import pytest

from headroom.transforms import diff, frames, listing, log_templates, logs, phrases, router, routine, search, terminal
from headroom.transforms.base import Context, Transform

LOSSLESS, NORMAL = (
    Context(count=lambda text: len(text) // 4),
    Context(lossless=False, count=lambda text: len(text) // 4),
)
FORMS: dict[str, tuple[Transform, Context]] = {
    "diff": (diff.compress, NORMAL),
    "drawing": (listing.drawing, LOSSLESS),
    "frames": (frames.compress, LOSSLESS),
    "log_templates": (log_templates.compress, NORMAL),
    "logs": (logs.compress, LOSSLESS),
    "names": (listing.names, LOSSLESS),
    "paths": (listing.paths, NORMAL),
    "phrases": (phrases.compress, LOSSLESS),
    "routine": (routine.compress, NORMAL),
    "rows": (listing.rows, LOSSLESS),
    "search": (search.compress, LOSSLESS),
    "terminal": (terminal.compress, LOSSLESS),
}
SIZE = 300_000
SECONDS = 10
"""Of processor time for these many characters on a slow machine: an input that is not linear takes minutes."""

TEXTS = {
    "one line": "x" * SIZE,
    "one line of words": "ab " * (SIZE // 3),
    "lines all alike": "the same line\n" * (SIZE // 14),
    "lines all different": "".join(f"line {n} of the text\n" for n in range(SIZE // 24)),
    "empty lines": "\n" * SIZE,
    "nested": "\n".join(" " * (n % 1000) + "{" for n in range(SIZE // 500)),
    "escapes": "\x1b[" * (SIZE // 2),
    "titles without end": "\x1b]" * (SIZE // 2),
    "returns": "10%\r" * (SIZE // 4),
    "returns over a long line": "x" * (SIZE // 2) + "\rx" * (SIZE // 4),
    "cursor up": "ab\n" * (SIZE // 6) + "\x1b[9A" * (SIZE // 8),
    "backspaces": "ab\b" * (SIZE // 3),
    "dashes": "a-1-" * (SIZE // 4) + "\na:1:x\na:2:x",
    "colons": "a:1:" * (SIZE // 4),
    "a path without end": "a/" * (SIZE // 2) + "\n" + "a/" * (SIZE // 2),
    "hits in many files": "".join(f"src/file{n}.py:{n}:x\n" * 2 for n in range(SIZE // 50)),
    "directories": "".join(f"./d{n}:\na\nb\n\n" for n in range(SIZE // 16)),
    "a deep directory": "\n\n".join("./" + "d/" * n + "d:\nd" for n in range(900)),
    "rows": "-rw-r--r-- 1 a b 12 Nov 24 02:54 f\n" * (SIZE // 35),
    "almost rows": "-rw-r--r--" + " 1" * (SIZE // 2),
    "a drawing": "│   " * (SIZE // 4) + "\n├── a",
    "elements": "<returncode>0</returncode>\n" + "<status>x</status>\n" * (SIZE // 19),
    "an element without end": "<returncode>" + "a" * SIZE,
    "diff headers": "diff --git a/x b/x\n" * (SIZE // 19),
    "a diff header without end": "diff --git a/" + "x b/" * (SIZE // 4),
    "commits": f"commit {'a' * 40}\nAuthor: x\n" * (SIZE // 60),
    "times": "2026-11-24T01:02:03Z INFO a\n" * (SIZE // 28),
    "quotes": "01:02:03 " + "\"'" * (SIZE // 2) + "\n01:02:03 x" * 60,
    "blocks that almost come again": "".join(f"a first line of a block\n{n % 7}\n{n}\n" for n in range(SIZE // 32)),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_strange_texts_take_no_long_time(text: str) -> None:
    slow = {}
    for name, (transform, context) in FORMS.items():
        start = time.thread_time()
        transform(text, context)
        took = time.thread_time() - start
        if took > SECONDS:
            slow[name] = took
    assert not slow


@pytest.mark.parametrize("tool", ["Bash", "mcp__some__tool"])
def test_routing_does_not_depend_on_the_length(tool: str) -> None:
    for text in TEXTS.values():
        router.kind(text, Context(tool, {"command": "./run"}))
        start = time.thread_time()
        router.kind(text, Context(tool, {"command": "./run"}))
        assert time.thread_time() - start < 1
