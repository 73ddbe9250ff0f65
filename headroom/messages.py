"""Lists of messages as programs hold them: which provider's shape they have, and what is wrong with those that have
none. Whatever can't be written as JSON is told by its place: ``messages[3].content[0].input.path``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from headroom.errors import ValidationError

LIST: Mapping[str, str] = {
    "anthropic": "messages",
    "openai-chat": "messages",
    "openai-responses": "input",
    "gemini": "contents",
}
"""Under which name a request of each shape has its messages."""
ROLES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("user", "assistant", "system"),
    "openai-chat": ("system", "developer", "user", "assistant", "tool", "function"),
    "openai-responses": ("system", "developer", "user", "assistant"),
    "gemini": ("user", "model", "function", "system"),
}
_PARTS: Mapping[str, str] = {
    **dict.fromkeys(("tool_use", "tool_result", "thinking", "redacted_thinking", "server_tool_use"), "anthropic"),
    **dict.fromkeys(("document", "image", "search_result", "mcp_tool_use", "mcp_tool_result"), "anthropic"),
    **dict.fromkeys(("image_url", "input_audio", "file", "refusal"), "openai-chat"),
    **dict.fromkeys(("input_text", "output_text", "input_image", "input_file"), "openai-responses"),
}
"""Types of the parts of a content, and the only shape that has them."""
DEEPEST = 200


def shape_of(messages: Sequence[Any], model: str = "") -> str:
    """The shape of plain messages (dicts and lists): anthropic, openai-chat, openai-responses or gemini.

    What all of them could be, plain texts with roles, counts as the shape of the model's maker. Raises ValidationError
    where one message has the marks of one shape and another those of another.
    """
    found = ""
    first = ""
    for number, message in enumerate(messages):
        for shape, place in _marks(message, f"messages[{number}]"):
            if not found:
                found, first = shape, place
            elif shape != found:
                raise wrong(
                    place,
                    f"is of the shape {shape}, and {first} is of the shape {found}",
                    "messages of one provider's shape",
                )
    if found:
        return found
    name = model.lower()
    return "anthropic" if "claude" in name or not name else "openai-chat"


def check(messages: object) -> list[Any]:
    """The list of messages, whatever kind of sequence it came as. Raises ValidationError."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise wrong("messages", f"is {_kind(messages)}", "a list of messages")
    return list(messages)


def check_roles(messages: Sequence[Any], shape: str) -> None:
    """Raises ValidationError for a message that is no object, or whose role its shape does not know."""
    allowed = ROLES[shape]
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise wrong(f"messages[{number}]", f"is {_kind(message)}", "an object with a role and a content")
        role = message.get("role")
        if role is None and (shape == "gemini" or (shape == "openai-responses" and "type" in message)):
            continue
        if not isinstance(role, str) or role not in allowed:
            raise wrong(f"messages[{number}].role", f"is {_said(role)}", ", ".join(allowed))


def dumps(value: object) -> bytes:
    """Compact JSON in UTF-8, as the providers' SDKs write it; their objects (pydantic) are dumped as they do it.

    What orjson can't write, numbers above 64 bits and lone surrogates, json can; all else is the same bytes as without
    them. Raises ValidationError, which names the place of what can't be written at all.
    """
    try:
        return orjson.dumps(value, default=_dumped)
    except TypeError:
        text = json.dumps(_plain(value, "", (), 0), separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace")  # a lone surrogate as JSON escapes it


def loads(body: bytes) -> Any:
    """The value that ``dumps`` wrote."""
    try:
        return orjson.loads(body)
    except ValueError:
        return json.loads(body)


def with_texts(original: Any, rewritten: Any) -> Any:
    """``original`` with the texts of ``rewritten``, which differs from it in texts only. What holds no changed text is
    the very same object, so numbers keep their types and SDK objects stay what they are."""
    if isinstance(original, str):
        return original if original == rewritten else rewritten
    if isinstance(original, Mapping) and isinstance(rewritten, Mapping):
        new = {key: with_texts(item, rewritten[key]) for key, item in original.items()}
        return original if all(new[key] is item for key, item in original.items()) else new
    if isinstance(original, list | tuple) and len(original) != len(rewritten):
        return rewritten  # a text of its own went to the end
    if isinstance(original, list | tuple):
        items = [with_texts(item, other) for item, other in zip(original, rewritten, strict=True)]
        return original if all(a is b for a, b in zip(items, original, strict=True)) else items
    validate = getattr(type(original), "model_validate", None)
    if callable(validate) and orjson.dumps(original, default=_dumped) != orjson.dumps(rewritten):
        return validate(rewritten)
    return original


def _dumped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json", by_alias=True, exclude_unset=True)
    raise TypeError


def _plain(value: Any, place: str, above: tuple[int, ...], depth: int) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    place_of = place or "the request"
    if id(value) in above:
        raise wrong(place_of, "contains itself", "a value without cycles")
    if depth >= DEEPEST:
        raise wrong(place_of, f"is nested deeper than {DEEPEST} levels", "fewer levels")
    below = (*above, id(value))
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise wrong(place_of, f"has the key {_said(key)}", "texts as keys")
        return {key: _plain(item, f"{place}.{key}".lstrip("."), below, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{number}]", below, depth + 1) for number, item in enumerate(value)]
    try:
        dumped = _dumped(value)
    except TypeError:
        pass
    else:
        return _plain(dumped, place, below, depth + 1)
    raise wrong(place_of, f"is {_kind(value)}", "a text, a number, true, false, null, a list or an object")


def _marks(message: Any, place: str) -> list[tuple[str, str]]:
    """What tells a message's shape, each with its place."""
    if not isinstance(message, Mapping):
        return []
    found = []
    if "parts" in message:
        found.append(("gemini", f"{place}.parts"))
    if message.get("role") in ("tool", "function") and "parts" not in message:
        found.append(("openai-chat", f"{place}.role"))
    found += [("openai-chat", f"{place}.{name}") for name in ("tool_calls", "function_call") if message.get(name)]
    kind = message.get("type")
    if isinstance(kind, str) and "parts" not in message:
        found.append(("openai-responses", f"{place}.type"))
    content = message.get("content")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        kind = part.get("type") if isinstance(part, Mapping) else None
        if isinstance(kind, str) and kind in _PARTS:
            found.append((_PARTS[kind], f"{place}.content[{number}].type"))
    return found


def wrong(place: str, found: str, expected: str) -> ValidationError:
    """What is wrong with an argument, in one sentence."""
    return ValidationError(f"{place} {found}; expected {expected}", {"place": place, "expected": expected})


def _kind(value: object) -> str:
    return "None" if value is None else f"of the type {type(value).__name__}"


def _said(value: object) -> str:
    """A short value that may be shown: a role, a key."""
    return repr(value)[:60]
