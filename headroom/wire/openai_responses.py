"""OpenAI Responses, also as Codex sends it over its WebSocket:
https://platform.openai.com/docs/api-reference/responses"""

from headroom.wire.layout import Block, Call, Layout, Turn
from headroom.wire.openai_chat import add_content
from headroom.wire.spans import Span, members, read_string, skip_value

LIST = "input"
OWN = "functions"
"""The namespace of the tools that are the client's own."""
_GIVEN = frozenset({"additional_tools", "agent_message"})
"""What Codex puts into the input beside messages and outputs: its tools, and what another of its agents says."""
_CALLS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "local_shell_call": "action",
    "shell_call": "action",
}


def turn(layout: Layout, text: str, start: int, index: int) -> int:
    if text[start : start + 1] != "{":
        return skip_value(text, start)
    found, end = members(text, start)
    role = read_string(layout.body, found.get("role"))
    kind = read_string(layout.body, found.get("type")) or ("message" if role else "")
    # whatever is not known to come from the client counts as said by the model: it is older than what follows
    answer = not (kind.endswith("_output") or kind in _GIVEN or (kind == "message" and role != "assistant"))
    layout.turns.append(Turn(Span(start, end), answer, len(layout.blocks)))
    call = read_string(layout.body, found.get("call_id") or found.get("id")) or ""
    if kind == "message" and "content" in found:
        add_content(layout, text, found["content"], Block(found["content"], "assistant" if answer else "user", index))
    elif kind.endswith("_output") and "output" in found:
        add_content(layout, text, found["output"], Block(found["output"], "result", index, call))
    elif kind in _CALLS and _CALLS[kind] in found:
        given = found[_CALLS[kind]]
        name = read_string(layout.body, found.get("name")) or kind.removesuffix("_call")
        namespace = read_string(layout.body, found.get("namespace")) or ""
        layout.calls[call] = Call(name, given, "" if namespace == OWN else namespace)
        layout.blocks.append(Block(given, "call", index, call))
    return end
