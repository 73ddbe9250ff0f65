"""How far our estimates of tokens are from what providers count.

    python -m benchmarks tokens --sessions FILE.jsonl.gz     # recorded sessions with what was billed
    python -m benchmarks tokens --gemma tokenizer.json       # the vocabulary of Gemma, for Gemini

A session file holds one JSON object a line: ``messages`` in Anthropic's style and ``requests``: for each model call
``n``, how many of the messages were sent, and ``usage`` as billed. A step is what was sent in one request and not in
the one before: the model's answer with its calls, and their results. Looked at are steps whose calls are all of one
tool (``--tools``), by default those whose output recordings keep as it was. Steps with thinking are left out: it is
not sent again.

Gemini: Google's SDK counts its tokens with Gemma's vocabulary (``google.genai.local_tokenizer``). The texts are those
of the corpus.
"""

import argparse
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.corpus import load
from headroom.tokenizers import count, estimate_factor

LEAST = 300
"""Our tokens of a step that is looked at: below that, what stands around the texts is most of it."""
TOOLS = ("Bash", "TaskOutput")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """``tokens`` by o200k_base of its texts; ``billed`` as the provider counted the whole of it."""

    tool: str
    tokens: int
    billed: int


def steps(session: Json) -> Iterator[Step]:
    """The steps of a recorded session in which one tool was used and nothing was thought."""
    names = {part["id"]: part["name"] for part in _parts(session["messages"]) if part.get("type") == "tool_use"}
    requests = session["requests"]
    for before, after in pairwise(requests):
        parts = list(_parts(session["messages"][before["n"] : after["n"]]))
        tools = {names.get(part["tool_use_id"], "") for part in parts if part["type"] == "tool_result"}
        billed = _input(after["usage"]) - _input(before["usage"])
        if len(tools) != 1 or billed <= 0 or any("thinking" in part["type"] for part in parts):
            continue
        yield Step(tools.pop(), sum(count(text) for part in parts for text in _texts(part)), billed)


def errors(found: Sequence[Step], factor: float, around: int = 0) -> tuple[float, float, float]:
    """By what share the estimate is off: the tenth that is lowest, the median, the tenth that is highest."""
    off = sorted((factor * step.tokens + around) / step.billed - 1 for step in found)
    return off[len(off) // 10], off[len(off) // 2], off[-1 - len(off) // 10]


def _parts(messages: Sequence[Json]) -> Iterator[Json]:
    for message in messages:
        content = message["content"]
        yield from [{"type": "text", "text": content}] if isinstance(content, str) else content


def _texts(part: Json) -> Iterator[str]:
    match part["type"]:
        case "text":
            yield part["text"]
        case "tool_use":
            yield part["name"]
            yield json.dumps(part["input"], ensure_ascii=False)
        case "tool_result":
            content = part["content"]
            yield from [content] if isinstance(content, str) else (each.get("text", "") for each in content)


def _input(usage: Json) -> int:
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(usage.get(name) or 0 for name in names)


def claude(path: Path, tools: Sequence[str]) -> None:
    """Print the errors of our estimate for Claude."""
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines()
    every = [step for line in lines for step in steps(json.loads(line)) if step.tool in tools]
    print("| steps of at least | | billed | estimate | off in the middle | 80 % within |")
    print("|---|---|---|---|---|---|")
    for least in (LEAST, 1000):
        found = [step for step in every if step.tokens >= least]
        if not found:
            continue
        factor = estimate_factor("anthropic", "")
        low, middle, high = errors(found, factor)
        billed, ours = sum(step.billed for step in found), round(factor * sum(step.tokens for step in found))
        print(
            f"| {least} tokens | {len(found)} | {billed:,} | {ours:,} ({ours / billed - 1:+.1%}) | {middle:+.1%} "
            f"| {low:+.1%} to {high:+.1%} |"
        )


def gemini(path: Path) -> None:
    """Print what Gemma's vocabulary makes of the corpus, and how far our estimate is off."""
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(path))
    factor, off, ours, theirs = estimate_factor("gemini", ""), [], 0, 0
    for output in load():
        own = len(vocabulary.encode(output.text, add_special_tokens=False).ids)
        estimate = round(factor * count(output.text))
        ours, theirs = ours + estimate, theirs + own
        off.append(estimate / own - 1)
    off.sort()
    low, middle, high = off[len(off) // 10], off[len(off) // 2], off[-1 - len(off) // 10]
    print(
        f"{len(off)} outputs, {theirs:,} tokens of Gemma's, estimate {ours:,} ({ours / theirs - 1:+.1%}); "
        f"in the middle {middle:+.1%}, 80 % within {low:+.1%} to {high:+.1%}"
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks tokens", description=__doc__)
    parser.add_argument("--sessions", type=Path, help="recorded sessions with usage, .jsonl or .jsonl.gz")
    parser.add_argument("--tools", default=",".join(TOOLS), help="whose steps are looked at")
    parser.add_argument("--gemma", type=Path, help="Gemma's tokenizer.json")
    options, _ = parser.parse_known_args(arguments)
    if options.sessions:
        claude(options.sessions, options.tools.split(","))
    if options.gemma:
        gemini(options.gemma)
    if not options.sessions and not options.gemma:
        print("nothing to compare with; name recorded sessions (--sessions) or Gemma's vocabulary (--gemma)")
    return 0
