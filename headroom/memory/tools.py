"""The tools with which a model uses notes: names, words for the model, inputs, and what they answer.

An MCP server lists ``TOOLS`` and gives calls to ``MemoryTools.call``; there is no other way by which a note gets into
a conversation.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headroom.errors import ValidationError
from headroom.memory.notes import Note
from headroom.memory.store import NoteStore

SAVE, SEARCH, FORGET = "memory_save", "memory_search", "memory_forget"


@dataclass(frozen=True, slots=True)
class Tool:
    """``schema`` is a JSON schema of the input."""

    name: str
    description: str
    schema: Mapping[str, Any]


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_TAGS = {"type": "array", "items": {"type": "string"}, "description": "Short words to find it by."}
TOOLS: tuple[Tool, ...] = (
    Tool(
        SAVE,
        "Keeps a fact for later sessions: a decision, a command that works, where something is, what the user prefers. "
        "One fact a note, in a sentence that can be understood by itself. No secrets.",
        _object(
            ["text"],
            text={"type": "string", "description": "The fact."},
            tags=_TAGS,
            everywhere={"type": "boolean", "description": "It holds for all projects, not only for this one."},
        ),
    ),
    Tool(
        SEARCH,
        "Finds notes of earlier sessions, by what they are about. Without a query the newest.",
        _object(
            [],
            query={"type": "string", "description": "What you want to know."},
            limit={"type": "integer", "minimum": 1, "maximum": 50, "description": "At most so many; 5 by default."},
            tags=_TAGS,
        ),
    ),
    Tool(
        FORGET,
        "Takes out a note that is wrong or no longer holds.",
        _object(["id"], id={"type": "string", "description": "The note's id, as memory_search says it."}),
    ),
)


class MemoryTools:
    """Answers the tools' calls for one project and user."""

    def __init__(self, notes: NoteStore, project: str = "", user: str = "") -> None:
        self._notes, self._project, self._user = notes, project, user

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What the model gets. Raises ValidationError for a wrong call, StorageError where notes can't be had."""
        tool = next((tool for tool in TOOLS if tool.name == name), None)
        if tool is None:
            known = ", ".join(tool.name for tool in TOOLS)
            raise ValidationError(f"{name!r} is none of the tools {known}", {"field": "name"})
        given = _checked(tool, arguments)
        if name == SAVE:
            project = "" if given.get("everywhere") else self._project
            note = self._notes.save(given["text"], project, self._user, given.get("tags", ()))
            return f"Saved as {note.id}."
        if name == FORGET:
            return "Forgotten." if self._notes.forget(given["id"]) else f"There is no note {given['id']}."
        found = self._notes.search(
            given.get("query", ""), self._project, self._user, given.get("limit", 5), given.get("tags", ())
        )
        return "\n".join(map(_line, (each.note for each in found))) or "No note is about that."


def _line(note: Note) -> str:
    day = time.strftime("%Y-%m-%d", time.localtime(note.changed))
    marks = "".join(f" #{tag}" for tag in note.tags)
    where = "" if note.project else " (all projects)"
    return f"[{note.id}] {day}{where}: {note.text}{marks}"


_KINDS: Mapping[str, type] = {"string": str, "boolean": bool, "integer": int, "array": list}


def _checked(tool: Tool, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = tool.schema["properties"]
    for name in tool.schema["required"]:
        if name not in arguments:
            raise ValidationError(f"{tool.name} needs {name}", {"field": name})
    for name, value in arguments.items():
        if name not in properties:
            raise ValidationError(f"{tool.name} has no {name}; it has {', '.join(properties)}", {"field": name})
        kind = _KINDS[properties[name]["type"]]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValidationError(
                f"{name} is of the type {type(value).__name__}; expected {properties[name]['type']}", {"field": name}
            )
        if isinstance(value, list) and not all(isinstance(item, str) for item in value):
            raise ValidationError(f"{name} has what is no text", {"field": name})
    return arguments
