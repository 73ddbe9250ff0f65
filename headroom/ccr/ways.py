"""Which way back a request has: how the model can have what was left out of it.

| way | when | what it costs |
|---|---|---|
| native | a file read by a client whose tool takes an offset and a limit | nothing |
| mcp | the client has our MCP server, or a tool of the same name, listed or to be looked for | nothing |
| tool | our tool was put into the session's first request | the beginning of the prompt, once for a session |
| command | the agent has a shell, and the user says that ``headroom`` runs in it | nothing |

None where the model can't ask: no tools, a tool choice that forces or forbids them, an answer in a strict schema.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headroom.ccr.markers import Way
from headroom.wire.layout import Layout
from headroom.wire.spans import Span, read_value

Retrieval = Literal["auto", "native", "tool", "mcp", "command", "off"]
Level = Literal["safe", "balanced", "max"]
RETRIEVALS = ("auto", "native", "tool", "mcp", "command", "off")
LEVELS = ("safe", "balanced", "max")

TOOL = "headroom_retrieve"
ALIAS = "ccr_retrieve"
OURS = frozenset({TOOL, ALIAS})
SHELLS = frozenset(
    (
        *("bash", "shell", "local_shell", "container.exec", "exec_command", "exec"),
        *("run_shell_command", "shell_command", "execute_command"),
    )
)
SEARCH = "ToolSearch"
"""Claude Code's tool with which the model looks for tools that are not listed, those of MCP servers above all."""
NAMESPACE = "mcp__headroom"
"""Under which Codex has the tools of our MCP server, by the name that the documentation adds it under."""
REMEMBERED = 200
_announces = re.compile(rf"^\s*(mcp__\w+__{TOOL})\s*$", re.M).search
_DEFERRED = "Deferred tool namespaces:"
_defers = re.compile(rf"^{_DEFERRED}\n(?:- .*\n)*?- {NAMESPACE}$", re.M).search


@dataclass(frozen=True, slots=True)
class CcrSettings:
    """``retrieval``: which ways may be used. ``responses``: whether calls of our own tool are answered; without, it is
    never put into a request. ``expansion``: whether parts of originals that the newest message names are added to it.
    ``inline``: whether calls of our tool are answered before the program sees them; a stream is held back for that.
    ``level``: safe leaves nothing out, balanced what tools of profile ``normal`` print, max what most tools print."""

    retrieval: Retrieval = "auto"
    responses: bool = True
    expansion: bool = False
    level: Level = "safe"
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Offered:
    """What a request says about tools: their names, and whether the model is free to call one or to answer."""

    names: frozenset[str] = frozenset()
    free: bool = False
    reason: str = ""
    announced: str = ""
    """Our MCP server's tool where the client says to the model that it is there, and lists it only when the model looks
    for it: Claude Code, and Codex, whose model calls it from JavaScript."""


class Tools:
    """Reads what requests say about tools, each list of them once."""

    def __init__(self) -> None:
        self._names: dict[bytes, frozenset[str]] = {}

    def offered(self, layout: Layout) -> Offered:
        """Whether the model of this request can call a tool of its own accord, and which there are."""
        names = self._listed(layout)
        if not names:
            return Offered(reason="no tools")
        if _forced(layout):
            return Offered(names, reason="tool choice is not the model's")
        if _strict(layout):
            return Offered(names, reason="the answer has a schema")
        announced = _announced(layout) if SEARCH in names else _deferred(layout) if "exec" in names else ""
        return Offered(names, True, announced=announced)

    def _listed(self, layout: Layout) -> frozenset[str]:
        names: frozenset[str] = frozenset()
        if "tools" in layout.fields:
            digest = layout.digest("tools")
            if digest not in self._names:
                if len(self._names) >= REMEMBERED:
                    self._names.clear()
                self._names[digest] = frozenset(_names(read_value(layout.body, layout.fields["tools"])))
            names = self._names[digest]
        span = additional_tools(layout)
        if span is not None:
            digest = layout.body[span.start : span.end]
            if digest not in self._names:
                self._names[digest] = frozenset(_names(read_value(layout.body, span)))
            names |= self._names[digest]
        return names


def way_back(offered: Offered, injected: bool, retrieval: Retrieval) -> Way | None:
    """The way back for what any tool prints; None where there is none. ``injected``: our tool is in the request."""
    if not offered.free or retrieval in ("off", "native"):
        return None
    if retrieval in ("auto", "mcp"):
        theirs = client_tool(offered.names) or offered.announced
        if theirs:
            return Way("mcp", theirs)
    if injected and retrieval in ("auto", "tool"):
        return Way("tool", TOOL)
    if retrieval == "command" and any(name.lower() in SHELLS for name in offered.names):
        return Way("command")
    return None


def client_tool(names: frozenset[str]) -> str:
    """The client's own tool for retrieving, ours by MCP or another of that name; "" when it has none."""
    found = sorted(name for name in names if name.lower().endswith((TOOL, ALIAS)))
    return found[0] if found else ""


def _announced(layout: Layout) -> str:
    """Our MCP server's tool, on a line of its own in what the client says beside the user's words; "" for none."""
    if TOOL.encode() not in layout.body:
        return ""
    for block in layout.blocks:
        text = layout.text(block) if block.kind == "user" else None
        found = _announces(text) if text and SEARCH in text else None
        if found:
            return found[1]
    return ""


def _deferred(layout: Layout) -> str:
    """As ``_announced``, where Codex says which servers there are."""
    if _DEFERRED.encode() not in layout.body:
        return ""
    said = (layout.text(block) for block in layout.blocks if block.kind == "user")
    return f"{NAMESPACE}__{TOOL}" if any(text and _defers(text) for text in said) else ""


def additional_tools(layout: Layout) -> Span | None:
    """Where Codex lists its tools, an item of the input; None when it does not."""
    if layout.shape != "openai-responses":
        return None
    for turn in layout.turns[:3]:
        if turn.answer:
            break
        raw = layout.body[turn.span.start : turn.span.end]
        if b'"additional_tools"' in raw[:200]:
            return turn.span
    return None


def _names(value: object) -> list[str]:
    """The names of all tools in a list of any shape; of a namespace those in it, with and without its name."""
    if isinstance(value, list):
        return [name for item in value for name in _names(item)]
    if not isinstance(value, Mapping):
        return []
    for inner in ("functionDeclarations", "function_declarations", "function", "custom"):
        if inner in value and not isinstance(value.get("name"), str):
            return _names(value[inner])
    inside = _names(value.get("tools"))
    name = value.get("name")
    if inside and isinstance(name, str):
        return [*inside, *(f"{name}{one}" for one in inside)]
    return [name] if isinstance(name, str) else inside


def _value(layout: Layout, name: str) -> object:
    span = layout.fields.get(name)
    return read_value(layout.body, span) if span is not None else None


def _inside(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _forced(layout: Layout) -> bool:
    """Whether the request takes the choice of a tool from the model."""
    if layout.shape == "gemini":
        config = _value(layout, "toolConfig") or _value(layout, "tool_config")
        calling = _inside(config, "functionCallingConfig") or _inside(config, "function_calling_config")
        names = _inside(calling, "allowedFunctionNames") or _inside(calling, "allowed_function_names")
        return bool(names) or str(_inside(calling, "mode") or "AUTO").upper() not in ("AUTO", "VALIDATED")
    choice = _value(layout, "tool_choice")
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    return kind not in (None, "auto")


def _strict(layout: Layout) -> bool:
    """Whether the answer must be JSON of a given form."""
    if layout.shape == "gemini":
        config = _value(layout, "generationConfig") or _value(layout, "generation_config")
        names = ("responseSchema", "responseJsonSchema", "response_schema", "response_json_schema")
        said = _inside(config, "responseMimeType") or _inside(config, "response_mime_type")
        return said == "application/json" or any(_inside(config, name) is not None for name in names)
    if layout.shape == "anthropic":
        return (_inside(_value(layout, "output_config"), "format") or _value(layout, "output_format")) is not None
    if layout.shape == "openai-chat":
        form = _value(layout, "response_format")
    else:
        form = _inside(_value(layout, "text"), "format")
    return _inside(form, "type") not in (None, "text")
