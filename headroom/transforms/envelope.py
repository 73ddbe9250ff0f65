"""What Codex and Gemini CLI put around a tool's output, and where in it the output itself stands.

    Chunk ID: 9a671f                             <untrusted_context>
    Wall time: 0.0512 seconds                    Output: the first line
    Process exited with code 0                   the second
    Original token count: 1271                   Process Group PGID: 24795
    Output:                                      </untrusted_context>
    the output

stay as they are. JSON in which the output is a string gets its lines back, between three quotes as in TOML: what
stands between ``'''``, a line end, and ``'''`` is the string, and no character of it is escaped.

    {"chunk_id":"d44391","exit_code":0,"output":'''
    the output
    '''}
"""

import re
from itertools import pairwise

import orjson

from headroom.transforms.base import Compressed, Context, Transform

MOST = 4_000_000
"""Characters of JSON beyond which nobody looks for lines in it."""
LEAST_STRING = 80
"""Characters, and"""
LEAST_LINES = 6
"""line ends that a string must have to be written as lines: then it is shorter so."""
LEAST_SHARE = 0.5
"""The part of the JSON that such strings must make up: rows of short values have a better form."""
FENCE = "'''"

_HEAD = re.compile(
    r"(?:(?:Chunk ID: \w{1,32}\n|Exit code: -?\d{1,12}\n)?Wall time: [\d.]{1,24} seconds\n"
    r"(?:Process (?:exited with code -?|running with session ID )\d{1,12}\n)?(?:Original token count: \d{1,12}\n)?"
    r"(?:Total output lines: \d{1,12}\n)?Output:\n"
    r"|Script \w{1,20}\nWall time [\d.]{1,24} seconds\nOutput:\n)?"
    r"(?:Warning: truncated output \(original token count: \d{1,12}\)\nTotal output lines: \d{1,12}\n\n)?"
)
_CUT = "Warning: truncated output "
_PERSISTED = "<persisted-output>"
"""What Claude Code shows of a long output: where it is saved, and its beginning."""
_UNTRUSTED = "<untrusted_context>\n"
_SHELL = "Output: "
_FOOT = re.compile(
    r"(?:\n(?:Error|Exit Code|Signal|Background PIDs|Process Group PGID): [^\n]{0,200}){0,5}"
    r"(?:\n</untrusted_context>)?\n?\Z"
)
_FOOT_LENGTH = 1_200
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"(\s*+:)?')
_FENCED = re.compile(r"'''\n(.*?)'''", re.S)
_CALL = re.compile(r'"(?:chunk_id|wall_time_seconds|exit_code|session_id)"\s*:')


def bodies(text: str) -> list[tuple[int, int]]:
    """Where the output stands in what a client wrote around it: the whole text where that is nothing known."""
    start = _after_head(text)
    if text[start : start + 1] in ("{", "["):
        fenced = [(match.start(1), match.end(1)) for match in _FENCED.finditer(text, start)]
        if fenced:
            return fenced
    end = len(text)
    if text.startswith((_UNTRUSTED, _SHELL)):
        foot = _foot(text)
        if text.startswith(_UNTRUSTED) or "\nProcess Group PGID: " in text[foot:]:
            start = len(_UNTRUSTED) if text.startswith(_UNTRUSTED) else 0
            start += len(_SHELL) if text.startswith(_SHELL, start) else 0
            end = max(start, foot)
    return [(start, end)]


def lines_of(text: str) -> tuple[int, int] | None:
    """Which lines of the text, (first, end) counted from 0, are the output itself. None where they are no longer those
    that one command printed: the client left something out."""
    (start, end), *others = bodies(text)
    if others or _CUT in text[:start] or text.startswith(_PERSISTED):
        return None
    return text.count("\n", 0, start), text.count("\n", 0, end) + 1


def unwrap(text: str, context: Context) -> Compressed | None:
    """JSON with lines in its strings, with these as lines."""
    lines = unwrapped(text)
    return Compressed(lines, "json") if lines is not None else None


def unwrapped(text: str) -> str | None:
    """The form in which the strings of a JSON text stand as lines; None where it has no such strings, or other text
    makes up most of it."""
    start = _after_head(text)
    if text[start : start + 1] not in ("{", "[") or len(text) > MOST or "\\n" not in text or not _is_json(text[start:]):
        return None
    out: list[str] = []
    done = taken = 0
    for match in _STRING.finditer(text, start):
        literal = match[0]
        if match[1] or len(literal) < LEAST_STRING or literal.count("\\n") < LEAST_LINES:
            continue
        said = str(orjson.loads(literal))
        if _fits(said) and orjson.dumps(said).decode() == literal:
            out += (text[done : match.start()], FENCE, "\n", said, FENCE)
            done = match.end()
            taken += len(literal)
    if taken < LEAST_SHARE * (len(text) - start):
        return None
    return "".join((*out, text[done:]))


def is_call(text: str) -> bool:
    """Whether an unwrapped text says how a command ended, beside what it printed."""
    ends = [0, *(at for body in bodies(text) for at in body), len(text)]
    return any(_CALL.search(text, start, end) for start, end in list(pairwise(ends))[::2])


def inside(transform: Transform) -> Transform:
    """The transform, put on the output and not on what a client wrote around it."""

    def compress(text: str, context: Context) -> Compressed | None:
        out: list[str] = []
        forms: list[Compressed] = []
        parts = bodies(text)
        done = 0
        for start, end in parts:
            form = transform(text[start:end], context)
            if form is not None and (not text.startswith(FENCE, end) or _fits(form.text)):
                out += (text[done:start], form.text)
                forms.append(form)
                done = end
        if not forms:
            return None
        lossless = all(form.lossless for form in forms)
        left_out = sum(form.left_out for form in forms)
        return Compressed("".join((*out, text[done:])), forms[0].strategy, lossless, left_out)

    return compress


def _after_head(text: str) -> int:
    match = _HEAD.match(text)
    return match.end() if match else 0


def _foot(text: str) -> int:
    """Where the lines begin that Gemini CLI writes after a command's output."""
    match = _FOOT.search(text, max(0, len(text) - _FOOT_LENGTH))
    return match.start() if match else len(text)


def _fits(said: str) -> bool:
    """Whether a text can stand between the quotes."""
    return FENCE not in said and not said.endswith("'")


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
