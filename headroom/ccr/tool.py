"""Our tool in a request: the same bytes, last in the list of tools, from a session's first request on.

Tools are the beginning of the prompt that the provider caches. One that appears in mid-session would have everything
written anew, so a session either has it from its first request on or never.
"""

import json
from hashlib import blake2b

from headroom.ccr.ways import TOOL, additional_tools
from headroom.wire.layout import Layout
from headroom.wire.spans import Patch, elements, members

DESCRIPTION = (
    "Returns the whole original of a tool output that stands shortened in this conversation. Where something was left "
    "out a marker says so and names a hash, such as [340 lines compressed to 120. Retrieve more: hash=...]. Call this "
    "when what was left out may matter. With a query the parts that match it come first."
)
HASH = "The hash that the marker names: 24 hex digits."
QUERY = "Words of what you are looking for."
TOKENS = "retrieval tool"
"""The name under which the ledger has the tokens of the tool, below zero."""


def definition(shape: str) -> str:
    """The tool as a request of this shape lists it, in JSON."""
    parameters = {
        "type": "object",
        "properties": {
            "hash": {"type": "string", "description": HASH},
            "query": {"type": "string", "description": QUERY},
        },
        "required": ["hash"],
    }
    named: dict[str, object] = {"name": TOOL, "description": DESCRIPTION}
    match shape:
        case "anthropic":
            tool = {**named, "input_schema": parameters}
        case "openai-chat":
            tool = {"type": "function", "function": {**named, "parameters": parameters}}
        case "openai-responses":
            tool = {"type": "function", **named, "parameters": parameters, "strict": False}
        case _:
            tool = {**named, "parametersJsonSchema": parameters}
    return json.dumps(tool, separators=(",", ":"))


def insertion(layout: Layout, tool: str) -> Patch | None:
    """What puts the tool last into the request's list of tools; None where it has none."""
    span, base = layout.fields.get("tools"), 0
    text = ""
    if span is not None and layout.body[span.start : span.start + 1] == b"[":
        text, base, start = layout.body[span.start : span.end].decode("latin-1"), span.start, 0
    else:
        item = additional_tools(layout)
        if item is None:
            return None
        text, base = layout.body[item.start : item.end].decode("latin-1"), item.start
        found = members(text, 0)[0].get("tools")
        if found is None or text[found.start] != "[":
            return None
        start = found.start
    listed = elements(text, start)
    if layout.shape == "gemini":
        for element in reversed(listed):
            inner = members(text, element.start)[0] if text[element.start] == "{" else {}
            declared = inner.get("functionDeclarations") or inner.get("function_declarations")
            if declared is not None and text[declared.start] == "[":
                listed = elements(text, declared.start)
                break
        else:
            return None
    if not listed:
        return None
    at = base + listed[-1].end
    return Patch(at, at, b"," + tool.encode())


def begins(layout: Layout) -> bool:
    """Whether this is a session's first request: the model has said nothing yet, or only thanks for a summary."""
    if any(turn.answer for turn in layout.turns) and not _is_summed_up(layout):
        return False
    if additional_tools(layout) is not None:
        return True  # Codex opens its connection with an empty request, and refers to the answer to that
    return all(
        name not in layout.fields or layout.body[slice(*layout.fields[name])] == b"null"
        for name in ("previous_response_id", "conversation")
    )


def _is_summed_up(layout: Layout) -> bool:
    """Whether a history begins anew, as Gemini CLI has it after a compression: with a summary of what was said, and a
    word of thanks for it."""
    answers = [number for number, turn in enumerate(layout.turns) if turn.answer]
    if layout.shape != "gemini" or answers != [1]:
        return False
    return b"<state_snapshot>" in layout.body[slice(*layout.turns[0].span)]


def keys(layout: Layout, session: str, names: frozenset[str]) -> tuple[bytes, bytes, bytes]:
    """Under which keys it is remembered whether a session has the tool: its name with its tools and how it begins, its
    name with its tools, how it begins.

    Under the first it is remembered that it began without, under the others that it has the tool. The second finds a
    session whose client compacted its history, the third one that goes on under another name. Where clients name their
    sessions not, several may have one name: what is under way without the tool keeps it from no other.
    """
    by_start = blake2b(f"{TOOL}\0{layout.shape}\0start".encode(), digest_size=16)
    first = next((turn for turn in layout.turns if turn.answer), None)
    end = first.first_block if first else len(layout.blocks)
    for block in layout.blocks[:end]:
        by_start.update(block.key(layout.body))
    by_name = blake2b(f"{TOOL}\0{layout.shape}\0{session}".encode("utf-8", "surrogatepass"), digest_size=16)
    for name in sorted(names):
        by_name.update(b"\0" + name.encode("utf-8", "surrogatepass"))
    by_both = blake2b(by_name.digest() + by_start.digest(), digest_size=16)
    return by_both.digest(), by_name.digest(), by_start.digest()
