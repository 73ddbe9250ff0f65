"""Notes that agents and people keep across sessions. Off unless it is asked for; nothing of it is ever put into a
request: a model gets a note when it searches for one."""

from headroom.memory.notes import Found, Note, project_of
from headroom.memory.store import NoteStore, open_memory

__all__ = ["Found", "Note", "NoteStore", "open_memory", "project_of"]
