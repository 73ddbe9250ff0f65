"""What recorded sessions say in hindsight: of every tool output, what the agent took over later.

A name is needed when a later answer is the first to use it, and it stood nowhere before its line. The line itself is
needed when an answer takes over more of it than its names: an edit quotes it, an answer has it as a line of its own, or
has a stretch of it around a needed name. Sessions are Anthropic-style messages, one JSON object a line.
"""

import gzip
import json
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from headroom.kompress.features import Situation, features
from headroom.kompress.vocabulary import NAME, Vocabulary, line_key
from headroom.session.conversation import subject_of
from headroom.tokenizers import count
from headroom.transforms.base import Context
from headroom.transforms.router import kind

READ_NUMBER = re.compile(r"^ *\d+(?:→|\t)", re.M)
LEAST_LINES, LEAST_TOKENS = 8, 80
"""Smaller outputs are never shortened, and teach nothing."""
EDITED = ("old_string", "old_str")
OTHER_TOKENS = 4_000
"""Tools and system prompt where the session does not say."""


Form = Literal["name", "edit", "quote", "part"]
"""A name; a line that an edit quotes; one that an answer repeats; a part of one around a name."""
LEAST_QUOTE, LEAST_PART, PLACES = 12, 12, 6
"""Characters of a line that counts as repeated; by how many more than the name a part counts; what stands in more
places is no quotation."""


@dataclass
class Output:
    """One tool output when it arrived."""

    number: int
    """Of the session's outputs."""
    message: int
    tool: str
    kind: str
    lines: list[str]
    tokens: np.ndarray
    """Of each line."""
    rows: np.ndarray | None
    """Features; None for one that is too small."""
    prefix: int
    """Tokens of the request that it came with."""
    remaining: int
    """Requests that came after that one."""


@dataclass
class Need:
    """A string that the answer at ``message`` uses, and where it stood: (output, line)."""

    message: int
    text: str
    form: Form
    places: list[tuple[int, int]]


@dataclass
class Hindsight:
    id: str
    kind: str
    group: str
    """The repository that the agent worked on: what is held out together."""
    outputs: list[Output] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)

    def labels(self, output: Output, most: int = 3) -> np.ndarray:
        """1 for the lines of an output with a name that was needed and stood nowhere before."""
        out = np.zeros(len(output.lines), np.int8)
        for need in self.needs:
            if need.form != "name" or need.places[0][0] != output.number:
                continue
            mine = [line for number, line in need.places if number == output.number]
            out[mine[:1] if len(mine) > most else mine] = 1
        return out

    def line_labels(self, output: Output) -> np.ndarray:
        """1 for the lines of an output of which more was taken over than names."""
        out = np.zeros(len(output.lines), np.int8)
        for need in self.needs:
            if need.form != "name":
                out[[line for number, line in need.places if number == output.number]] = 1
        return out


def text_of(block: dict[str, Any]) -> str:
    content = block.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(b.get("text", "") for b in content or [] if isinstance(b, dict) and b.get("type") == "text")


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [str(value)] if items is None else [s for v in items for s in strings(v)]


def group_of(session: dict[str, Any]) -> str:
    name: str = session["id"].split("__")[0]
    return name if session["kind"] == "swe-bench" else str(session["source_repo"])


def hindsight(session: dict[str, Any], with_features: bool = True) -> Hindsight:
    """Walk through a session, as the proxy would have seen it."""
    found = Hindsight(session["id"], session["kind"], group_of(session), requests=[r["n"] for r in session["requests"]])
    vocabulary = Vocabulary()
    if session.get("system"):
        vocabulary.seen.update(NAME.findall(session["system"]))
    from_tools: set[str] = set()
    elsewhere: set[str] = set(vocabulary.seen)
    spoken = session.get("system") or ""
    first: dict[str, list[tuple[int, int]]] = {}
    calls: dict[str, tuple[str, dict[str, Any], str]] = {}
    prefix = session.get("prefix_tokens") or OTHER_TOKENS
    read_number = READ_NUMBER
    for i, message in enumerate(session["messages"]):
        if message["role"] == "assistant":
            vocabulary.answered()
            said = "\n".join(b["text"] for b in message["content"] if b["type"] == "text")
            given = "\n".join(s for b in message["content"] if b["type"] == "tool_use" for s in strings(b["input"]))
            answer = said + "\n" + given
            used = set(NAME.findall(answer))
            for token in sorted((used & from_tools) - elsewhere):
                if token not in spoken and (places := _places(found, token)):
                    found.needs.append(Need(i, token, "name", places))
                    found.needs += _parts(found, i, token, places, answer, spoken)
            found.needs += [
                Need(i, line, "quote", first[line])
                for line in sorted({x.strip() for x in answer.split("\n")} & first.keys())
                if len(first[line]) <= PLACES and line not in spoken
            ]
            for block in message["content"]:
                if block["type"] != "tool_use":
                    continue
                calls[block["id"]] = (block["name"], block["input"], said)
                for key in EDITED if isinstance(block["input"], dict) else ():
                    for line in {x.strip() for x in str(block["input"].get(key) or "").split("\n")}:
                        if len(line) >= 8 and line not in spoken and (places := _places(found, line, whole=True)):
                            found.needs.append(Need(i, line, "edit", places))
            elsewhere |= used
            spoken += "\n" + answer
            prefix += count(answer)
            vocabulary.speaks(answer)
            continue
        for block in message["content"]:
            if block["type"] == "text":
                vocabulary.asked(block["text"])
                elsewhere |= set(NAME.findall(block["text"]))
                spoken += "\n" + block["text"]
                prefix += count(block["text"])
        start = len(found.outputs)
        for block in message["content"]:
            if block["type"] != "tool_result":
                continue
            tool, arguments, said = calls.get(block["tool_use_id"], ("", {}, ""))
            text = text_of(block)
            output = _output(found, i, tool, arguments, said, text, vocabulary, with_features)
            output.remaining = sum(n > i + 1 for n in found.requests)
            found.outputs.append(output)
            prefix += int(output.tokens.sum())
            from_tools |= set(NAME.findall(read_number.sub("", text) if tool == "Read" else text))
            for number, line in enumerate(output.lines):
                if len(key := line_key(line)) >= LEAST_QUOTE:
                    first.setdefault(key, []).append((output.number, number))
            vocabulary.shown(text)
        for output in found.outputs[start:]:
            output.prefix = prefix
    return found


def situation_of(tool: str, arguments: Any, said: str, text: str) -> Situation:
    known = arguments if isinstance(arguments, dict) else {}
    name = kind(text, Context(tool, known))
    return Situation(
        tool,
        name.name if name else "",
        "\n".join(strings(arguments)),
        said,
        subject_of(known)[1],
        "offset" in known or "limit" in known,
    )


def _output(
    found: Hindsight,
    message: int,
    tool: str,
    arguments: Any,
    said: str,
    text: str,
    vocabulary: Vocabulary,
    wanted: bool,
) -> Output:
    lines = text.split("\n")
    tokens = np.array([count(line) + 1 for line in lines], np.int32)
    situation = situation_of(tool, arguments, said, text)
    large = len(lines) >= LEAST_LINES and tokens.sum() >= LEAST_TOKENS
    rows = features(text, situation, vocabulary) if large and wanted else None
    return Output(len(found.outputs), message, tool, situation.kind, lines, tokens, rows, 0, 0)


def _places(found: Hindsight, text: str, whole: bool = False) -> list[tuple[int, int]]:
    """Where a text stands, or a ``whole`` line that is just this."""
    return [
        (output.number, k)
        for output in found.outputs
        for k, line in enumerate(output.lines)
        if text in line and (not whole or line_key(line) == text)
    ]


def _parts(
    found: Hindsight, message: int, name: str, places: list[tuple[int, int]], answer: str, spoken: str
) -> list[Need]:
    """The longest stretch of a line around a name that the answer has too, where it is more than the name."""
    stretches = [(_stretch(line_key(found.outputs[k].lines[n]), name, answer), (k, n)) for k, n in places[:12]]
    part, place = max(stretches, key=lambda found: len(found[0]))
    letters = len(re.sub(r"\W", "", part)) - len(re.sub(r"\W", "", name))
    if len(part) - len(name) < LEAST_PART or letters < LEAST_PART // 2 or part in spoken:
        return []
    return [Need(message, part, "part", [place])]


def _stretch(line: str, name: str, answer: str) -> str:
    at, place, best = line.find(name), -1, ""
    for _ in range(20):
        place = answer.find(name, place + 1)
        if place < 0:
            break
        before, after = 0, len(name)
        while before < min(at, place) and line[at - before - 1] == answer[place - before - 1]:
            before += 1
        while line[at + after : at + after + 1] == answer[place + after : place + after + 1] != "":
            after += 1
        best = max(best, line[at - before : at + after].strip(), key=len)
    return best


def read_sessions(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf8") if path.suffix == ".gz" else path.open(encoding="utf8") as file:
        for line in file:
            yield json.loads(line)


def all_of(paths: list[Path], workers: int = 2) -> list[Hindsight]:
    """The hindsight of all sessions of some files."""
    sessions = [session for path in paths for session in read_sessions(path)]
    if workers < 2:
        return list(map(hindsight, sessions))
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(hindsight, sessions, chunksize=4))
