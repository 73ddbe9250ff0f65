"""The project that the session is about, and the agent's tools on it, in memory.

The files are in ``texts/``, and so is what pytest says of them at each stage: the demo runs nothing.
"""

import difflib
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files

ROOT = "/home/dev/stockroom"
PATHS = ("stockroom/allocation.py", "stockroom/stock.py", "tests/test_allocation.py")
RUNS = ("pytest_1.txt", "pytest_2.txt", "pytest_3.txt")


def text(name: str) -> str:
    """One of the texts in ``texts/``."""
    return (files("headroom.demo") / "texts" / name).read_text(encoding="utf-8")


class Project:
    """Some files, and what Claude Code's tools say when they are used on them."""

    def __init__(self) -> None:
        self.files = {path: text(path.rpartition("/")[2] + ".txt") for path in PATHS}
        self._committed = dict(self.files)
        self._runs = iter(RUNS)

    def use(self, tool: str, arguments: Mapping[str, str]) -> str:
        """What a tool call gives."""
        if tool == "Read":
            lines = self.files[_relative(arguments["file_path"])].splitlines()
            return "\n".join(f"{number}\t{line}" for number, line in enumerate(lines, 1))
        if tool == "Edit":
            return self._edit(arguments["file_path"], arguments["old_string"], arguments["new_string"])
        if tool == "Grep":
            return self._grep(arguments["pattern"])
        return self._diff() if arguments["command"] == "git diff" else text(next(self._runs)).rstrip("\n")

    def _edit(self, path: str, old: str, new: str) -> str:
        before = self.files[_relative(path)]
        if before.count(old) != 1:
            raise ValueError(f"{path}: the text to replace stands there {before.count(old)} times, expected once")
        self.files[_relative(path)] = before.replace(old, new)
        return f"The file {path} has been updated successfully."

    def _grep(self, pattern: str) -> str:
        return "\n".join(
            f"{path}:{number}:{line}"
            for path, content in sorted(self.files.items())
            for number, line in enumerate(content.splitlines(), 1)
            if re.search(pattern, line)
        )

    def _diff(self) -> str:
        out: list[str] = []
        for path, after in sorted(self.files.items()):
            before = self._committed[path]
            if before == after:
                continue
            out += [f"diff --git a/{path} b/{path}", f"index {_blob(before)}..{_blob(after)} 100644"]
            out += difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", lineterm="")
        return "\n".join(out)


def _relative(path: str) -> str:
    return path.removeprefix(f"{ROOT}/")


def _blob(content: str) -> str:
    """How git names a file's content, shortened."""
    raw = content.encode()
    return hashlib.sha1(b"blob %d\0%s" % (len(raw), raw), usedforsecurity=False).hexdigest()[:7]
