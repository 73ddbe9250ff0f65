"""`headroom memory`: the notes of this machine."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from headroom.cli.output import moment, new_table, print_json, print_table
from headroom.errors import ValidationError
from headroom.memory import Note, NoteStore, open_memory, project_of


def save_note(
    text: Sequence[str], tags: Sequence[str], everywhere: bool, project: str | None, path: str | None, as_json: bool
) -> None:
    """Keep a note; from standard input where there are no words."""
    said = " ".join(text) if text else sys.stdin.read()
    with notes(path) as store:
        note = store.save(said, "" if everywhere else project_of(project or "."), tags=tags)
    print_json(_as_data(note)) if as_json else print(note.id)


def search_notes(
    query: Sequence[str], tags: Sequence[str], limit: int, project: str | None, path: str | None, as_json: bool
) -> int:
    """Print what is found, the best first; 1 when nothing is."""
    with notes(path) as store:
        found = store.search(" ".join(query), project_of(project or "."), limit=limit, tags=tags)
    if as_json:
        print_json([{**_as_data(each.note), "score": each.score} for each in found])
    else:
        _print([each.note for each in found])
    return 0 if found else 1


def list_notes(everything: bool, project: str | None, path: str | None, as_json: bool) -> None:
    """Print the notes of a project, or all, the newest first."""
    with notes(path) as store:
        found = store.notes(None if everything else project_of(project or "."))
    if as_json:
        print_json([_as_data(note) for note in found])
    elif found:
        _print(found)
    else:
        print("there are no notes" if everything else "there are no notes of this project (--all shows every one)")


def forget_notes(ids: Sequence[str], path: str | None) -> None:
    """Take notes out. Raises ValidationError when there is none of an id."""
    with notes(path) as store:
        missing = [id for id in ids if not store.forget(id)]
    if missing:
        raise ValidationError(f"there is no note {', '.join(missing)}", {"field": "ID"})


@contextmanager
def notes(path: str | None) -> Iterator[NoteStore]:
    """The notes at a path, or where the workspace has them."""
    store = open_memory(path)
    try:
        yield store
    finally:
        store.close()


def _print(found: Sequence[Note]) -> None:
    if not found:
        print("no note is about that")
        return
    table = new_table("id", "changed", "project", "note", "tags")
    for note in found:
        table.add_row(note.id, moment(note.changed), note.project or "all", note.text, " ".join(note.tags))
    print_table(table)


def _as_data(note: Note) -> dict[str, Any]:
    return {
        "id": note.id, "text": note.text, "project": note.project, "user": note.user, "tags": list(note.tags),
        "made": note.made, "changed": note.changed,
    }  # fmt: skip
