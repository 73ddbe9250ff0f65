"""What a body says of the program that sent it: its system prompt, its first question, its user."""

from collections.abc import Mapping

from headroom.wire.layout import Block, Layout
from headroom.wire.spans import members, read_string, read_value

ASKED = 2_000
"""Characters of a text that says what the agent is after."""
_SYSTEM_ROLES = ("system", "developer")
_SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction")


def system_text(layout: Layout) -> str:
    """The text of the system prompt, wherever the shape keeps it; "" when there is none."""
    for name in _SYSTEM:
        span = layout.fields.get(name)
        if span is not None:
            return "\n".join(_texts(read_value(layout.body, span)))
    if layout.shape != "openai-chat" or not layout.turns:
        return ""
    first, _ = members(layout.body.decode("latin-1"), layout.turns[0].span.start)
    if read_string(layout.body, first.get("role")) not in _SYSTEM_ROLES:
        return ""
    return "\n".join(layout.text(block) or "" for block in layout.blocks if block.turn == 0)


def first_user_text(layout: Layout) -> str | None:
    """What the user said first; what is said in the role of the system is the same for many users."""
    said = (block for block in layout.blocks if block.kind == "user" and not _is_system(layout, block.turn))
    block = next(said, None)
    return layout.text(block) if block else None


def _is_system(layout: Layout, turn: int) -> bool:
    """Whether an element of the list of messages tells the model what it is, where the shape has such elements."""
    if not layout.shape.startswith("openai"):
        return False
    raw = layout.body[slice(*layout.turns[turn].span)]
    return raw[:1] == b"{" and read_string(raw, members(raw.decode("latin-1"), 0)[0].get("role")) in _SYSTEM_ROLES


def first_of_last_turns(layout: Layout, count: int) -> int:
    """The index of the element with which the last ``count`` turns begin; beyond the end for none.

    A turn is a user's message with everything up to the user's next one that is not only tool results.
    """
    if count < 1:
        return 1 << 62
    starts = sorted({block.turn for block in layout.blocks if block.kind == "user"})
    return starts[-count] if count <= len(starts) else 0


def asked(layout: Layout, result: Block) -> str:
    """What the agent is after with the call whose result this is: what the user said last before it, and what the model
    said with the call."""
    task, said = "", [""]
    for block in reversed(layout.blocks):
        if block.turn >= result.turn:
            continue
        if block.kind == "user":
            task = (layout.text(block) or "")[:ASKED]
            break
        if block.kind == "assistant" and block.turn == result.turn - 1:
            said.append((layout.text(block) or "")[:ASKED])
    return "\n".join(filter(None, [task, *reversed(said)]))


def user_id(layout: Layout) -> str | None:
    """Anthropic's ``metadata.user_id``."""
    span = layout.fields.get("metadata")
    metadata = read_value(layout.body, span) if span is not None else None
    found = metadata.get("user_id") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else None


def _texts(value: object) -> list[str]:
    """The texts of a system prompt: a string, a list of text blocks, or Gemini's parts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return _texts(value.get("text") or value.get("parts"))
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []
