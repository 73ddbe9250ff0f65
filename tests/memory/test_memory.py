"""Notes across sessions: kept, found by what they are about, forgotten for good, and never anybody else's."""

import json
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from headroom.cli.main import headroom
from headroom.errors import StorageError, ValidationError
from headroom.memory import NoteStore, open_memory, project_of
from headroom.memory import store as module
from headroom.memory.tools import TOOLS, MemoryTools


class Meanings:
    """An embedder that knows what some words are about."""

    name, dimensions = "meanings", 3
    _about = (("test", "pytest", "suite"), ("deploy", "server", "release"), ("colour", "dark", "theme"))

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        rows = np.array(
            [[sum(w in text.lower() for w in words) for words in self._about] for text in texts], np.float32
        )
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture(params=["words", "meanings"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NoteStore]:
    found = Meanings() if request.param == "meanings" else None
    made = NoteStore(tmp_path / "memory.db", lambda: found)
    yield made
    made.close()


def texts(store: NoteStore, query: str, project: str = "", **more: Any) -> list[str]:
    return [found.note.text for found in store.search(query, project, **more)]


def filled(store: NoteStore) -> NoteStore:
    store.save("The suite runs with: pytest -n 2", "/shop", tags=["pytest"])
    store.save("Deploy to the server only on Mondays", "/shop")
    store.save("The user likes the dark theme")
    store.save("The bank's suite takes an hour", "/bank")
    return store


def test_a_note_is_found_by_what_it_is_about(store: NoteStore) -> None:
    filled(store)
    assert texts(store, "how is the pytest suite run?", "/shop")[0] == "The suite runs with: pytest -n 2"
    assert texts(store, "which theme?", "/shop") == ["The user likes the dark theme"]
    assert texts(store, "quantum chromodynamics", "/shop") == []


def test_a_number_finds_a_note(store: NoteStore) -> None:
    filled(store)
    store.save("The shop's ticket 77 is closed", "/shop")
    assert texts(store, "what is it about 77?", "/shop") == ["The shop's ticket 77 is closed"]


def test_vectors_find_what_words_do_not(tmp_path: Path) -> None:
    store = filled(NoteStore(tmp_path / "a.db", Meanings))
    assert texts(store, "release", "/shop") == ["Deploy to the server only on Mondays"]
    words = filled(NoteStore(tmp_path / "b.db", lambda: None))
    assert texts(words, "release", "/shop") == []


def test_a_project_has_its_own_notes_and_those_of_all(store: NoteStore) -> None:
    filled(store)
    assert "The bank's suite takes an hour" not in texts(store, "suite theme", "/shop", limit=50)
    assert set(texts(store, "suite theme", "/bank", limit=50)) == {
        "The bank's suite takes an hour",
        "The user likes the dark theme",
    }


def test_a_user_has_his_own_notes_and_those_of_everybody(store: NoteStore) -> None:
    store.save("Alice likes the dark theme", user="alice")
    store.save("Everybody likes the theme")
    assert set(texts(store, "theme", user="alice")) == {"Alice likes the dark theme", "Everybody likes the theme"}
    assert texts(store, "theme", user="bob") == texts(store, "theme") == ["Everybody likes the theme"]


def test_the_same_words_are_the_same_note(store: NoteStore) -> None:
    first = store.save("The suite runs with pytest", "/shop", tags=["Test"])
    again = store.save("The suite  runs\nwith pytest ", "/shop", tags=["ci"])
    assert first.id == again.id and again.tags == ("test", "ci")
    assert again.made == first.made and again.changed >= first.changed
    assert len(store.notes()) == 1
    assert store.save("The suite runs with pytest", "/bank").id != first.id


def test_tags_narrow_a_search(store: NoteStore) -> None:
    filled(store)
    assert texts(store, "suite", "/shop", tags=["pytest"]) == ["The suite runs with: pytest -n 2"]
    assert texts(store, "", "/shop", tags=["none-has-it"]) == []


def test_without_a_query_the_newest_come_first(store: NoteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        monkeypatch.setattr(time, "time", lambda at=1000.0 + number: at)
        store.save(f"note {number}")
    assert texts(store, " ", limit=3) == ["note 3", "note 2", "note 1"]


def test_what_is_forgotten_is_gone(store: NoteStore) -> None:
    note = store.save("The password policy is strict")
    assert store.forget(note.id) and not store.forget(note.id)
    assert store.notes() == [] and texts(store, "password policy") == []
    store.close()
    left = b"".join(part.read_bytes() for part in store.path.parent.glob("memory.db*"))
    assert b"password policy" not in left


@pytest.mark.parametrize(
    ("text", "tags", "says"),
    [
        ("  ", (), "a note has no text"),
        ("x" * 20_001, (), "a note has 20,001 characters; expected at most 20,000"),
        ("x", ("a b",), "a tag is 'a b'"),
        ("x", [f"t{n}" for n in range(21)], "there are 21 tags"),
    ],
)
def test_what_is_no_note_is_refused(store: NoteStore, text: str, tags: Sequence[str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        store.save(text, tags=tags)
    with pytest.raises(ValidationError, match="is no note's id"):
        store.forget("../../etc")


def test_there_is_a_most(store: NoteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NOTES", 2)
    for text in ("one", "two"):
        store.save(text)
    store.save("one")
    with pytest.raises(StorageError, match="has 2 notes, which is the most"):
        store.save("three")


def test_notes_from_before_there_was_an_embedder_are_embedded_when_they_are_searched(tmp_path: Path) -> None:
    filled(NoteStore(tmp_path / "memory.db", lambda: None)).close()
    meanings = Meanings()
    store = NoteStore(tmp_path / "memory.db", lambda: meanings)
    assert texts(store, "release", "/shop") == ["Deploy to the server only on Mondays"]
    asked = len(meanings.asked)
    texts(store, "release", "/shop")
    assert len(meanings.asked) == asked + 1  # the query alone


def test_the_file_is_in_the_workspace_and_for_its_owner_only() -> None:
    store = open_memory()
    assert store.path == Path(os.environ["HEADROOM_WORKSPACE_DIR"]) / "memory.db"
    assert not store.path.exists()
    store.save("a fact")
    store.close()
    for part in store.path.parent.glob("memory.db*"):
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = NoteStore(tmp_path / "file" / "memory.db", lambda: None)
    with pytest.raises(StorageError, match=r"memory\.db can't be used"):
        store.save("a fact")


def test_a_broken_file_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "memory.db").write_bytes(b"no database" * 500)
    store = NoteStore(tmp_path / "memory.db", lambda: None)
    store.save("a fact")
    assert list(tmp_path.glob("memory.db.corrupt-*"))


def _save(path: Path, start: int) -> None:
    store = NoteStore(path, lambda: None)
    for number in range(start, start + 20):
        store.save(f"fact {number}")
    store.close()


def test_several_processes_and_threads_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    context = multiprocessing.get_context("spawn")
    work = [context.Process(target=_save, args=(path, 100 * n)) for n in range(2)]
    store = NoteStore(path, lambda: None)
    threads = [threading.Thread(target=store.save, args=(f"thread {n}",)) for n in range(8)]
    every: list[Any] = [*work, *threads]
    for one in every:
        one.start()
    for one in every:
        one.join()
    assert len(store.notes()) == 48


def test_a_project_is_the_folder_that_git_keeps(tmp_path: Path) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    (tmp_path / "shop" / "src" / "deep").mkdir(parents=True)
    assert project_of(tmp_path / "shop" / "src" / "deep") == str(tmp_path / "shop")
    assert project_of(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")


# --- tools ----------------------------------------------------------------------------------------------------------


def test_a_model_saves_searches_and_forgets(store: NoteStore) -> None:
    tools = MemoryTools(store, "/shop")
    saved = tools.call("memory_save", {"text": "The suite runs with: pytest -n 2", "tags": ["ci"]})
    id = saved.removeprefix("Saved as ").rstrip(".")
    assert tools.call("memory_save", {"text": "The user likes the dark theme", "everywhere": True})
    found = tools.call("memory_search", {"query": "pytest suite"})
    assert f"[{id}]" in found and ": The suite runs with: pytest -n 2 #ci" in found
    other = MemoryTools(store, "/bank")
    assert other.call("memory_search", {"query": "pytest suite"}) == "No note is about that."
    assert "(all projects): The user likes the dark theme" in other.call("memory_search", {})
    assert tools.call("memory_forget", {"id": id}) == "Forgotten."
    assert tools.call("memory_forget", {"id": id}) == f"There is no note {id}."


def test_the_tools_are_described_for_a_model() -> None:
    assert [tool.name for tool in TOOLS] == ["memory_save", "memory_search", "memory_forget"]
    for tool in TOOLS:
        assert tool.description and tool.schema["type"] == "object"
        assert all(
            each["type"] in ("string", "array", "integer", "boolean") for each in tool.schema["properties"].values()
        )


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("memory_burn", {}, "is none of the tools memory_save, memory_search, memory_forget"),
        ("memory_save", {}, "memory_save needs text"),
        ("memory_save", {"text": 5}, "text is of the type int; expected string"),
        ("memory_save", {"text": "a", "tags": [1]}, "tags has what is no text"),
        ("memory_search", {"limit": True}, "limit is of the type bool"),
        ("memory_search", {"words": "a"}, "memory_search has no words; it has query, limit, tags"),
        ("memory_forget", {"id": "x"}, "is no note's id"),
    ],
)
def test_a_wrong_call_is_refused(store: NoteStore, name: str, arguments: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        MemoryTools(store).call(name, arguments)


# --- headroom memory ------------------------------------------------------------------------------------------------


def run(*arguments: str, given: str = "") -> tuple[int, str]:
    found = CliRunner().invoke(headroom, ["memory", *arguments], input=given)
    assert found.exception is None or isinstance(found.exception, SystemExit | ValidationError)
    if isinstance(found.exception, ValidationError):
        return 1, found.exception.message
    return found.exit_code, found.output


def test_the_command_saves_searches_lists_and_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, id = run("save", "The", "suite", "runs", "with", "pytest", "--tag", "ci")
    assert code == 0
    assert run("save", "--everywhere", given="The user likes the dark theme\n")[0] == 0
    code, said = run("search", "pytest", "suite", "--json")
    assert code == 0 and json.loads(said)[0]["id"] == id.strip()
    assert json.loads(said)[0]["project"] == str(tmp_path)
    assert run("search", "chromodynamics") == (1, "no note is about that\n")
    assert "dark theme" in run("list", "--all")[1] and "dark theme" not in run("list")[1]
    assert run("forget", id.strip()) == (0, "")
    assert run("forget", id.strip()) == (1, f"there is no note {id.strip()}")
    assert "there are no notes of this project" in run("list")[1]


def test_the_database_can_be_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.db"
    assert run("save", "a fact", "--memory-db-path", str(path))[0] == 0
    assert [note.text for note in NoteStore(path, lambda: None).notes()] == ["a fact"]
    assert not (Path(os.environ["HEADROOM_WORKSPACE_DIR"]) / "memory.db").exists()


def test_nothing_of_memory_is_loaded_or_made_by_the_proxy() -> None:
    code = "import sys, addon; print([name for name in sys.modules if name.startswith('headroom.memory')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
