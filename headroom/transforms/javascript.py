"""The JavaScript in which Codex's "code mode" calls its tools: which commands it runs, what its strings say.

    const r = await tools.exec_command({cmd: "cat prices.py"}); text(r.output);

Only words and strings are told apart, nothing is run: a command that the script puts together stays unknown.
"""

import re
from collections.abc import Iterator

MOST = 200_000
"""Characters of a script that are read."""

_TOKEN = re.compile(
    r"//[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?"
    r"|(?P<key>\b(?:cmd|command)\s*+:|\"(?:cmd|command)\"\s*+:|'(?:cmd|command)'\s*+:)"
    r"|(?P<raw>\bString\.raw\s*+`[^`]*+`?)"
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*+\"?|'(?:\\.|[^'\\\n])*+'?|`(?:\\.|[^`\\])*+`?)",
    re.S,
)
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r?\n|.))", re.S)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}


def commands(script: str) -> list[str]:
    """The shell commands that a script gives to its tools as ``cmd`` or ``command``, in order."""
    found: list[str] = []
    key_ends = -1
    for match in _tokens(script):
        if match.lastgroup == "key":
            key_ends = match.end()
        elif match.lastgroup is not None:
            if key_ends >= 0 and not script[key_ends : match.start()].strip():
                found.append(_said(match))
            key_ends = -1
    return found


def texts(script: str) -> list[str]:
    """What the strings of a script say that hold several lines on one line of the script."""
    return [
        _said(match)
        for match in _tokens(script)
        if match.lastgroup == "string" and match[0][0] != "`" and "\\n" in match[0]
    ]


def _tokens(script: str) -> Iterator[re.Match[str]]:
    return _TOKEN.finditer(script[:MOST])


def _said(literal: re.Match[str]) -> str:
    if literal.lastgroup == "raw":
        return literal[0][literal[0].index("`") :].strip("`")
    body = literal[0][1:]
    return _ESCAPE.sub(_character, body.removesuffix(literal[0][0]))


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    if code is None:
        return _LETTERS.get(escape[4], escape[4])
    number = int(code, 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
