"""What a terminal would show in the end: no colour, no overwritten progress, repeated lines said once."""

import re
from contextlib import suppress
from itertools import groupby, pairwise

from headroom.transforms.base import Compressed, Context

AGAIN = "[the line above {} more times]"
"""Stands for so many further lines that are the same as the one above it."""

MAX_BLANK = 2
"""Empty lines in a row that are kept."""

MAX_COLUMN = 4096
"""How far to the right a cursor movement is followed; more is no terminal's width."""

PATIENCE = 4
"""Characters that may be overwritten for each character of the text; a real progress bar overwrites less than one."""

_AGAIN_START = AGAIN.split("{}")[0]
_SPECIAL = re.compile(r"[\r\b\x1b]")
_NOT_SHOWN = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@HIL-~]"  # CSI (ECMA-48, 5.4): all but the movements below, colour most of all
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC: titles and links, up to BEL or ST
    r"|\x1b(?![\[\]PX^_])[ -/]*[0-~]"
)
_STEP = re.compile(r"\x1b\[(\d*)[;\d]*([A-GJK])|([\r\b])|([^\r\b\x1b]+)|\x1b")
_TROUBLE = re.compile(r"error|fail|fatal|warn|exception|panic|denied|not found|critical|abort", re.I)


def compress(text: str, context: Context) -> Compressed | None:
    """Take out of a command's output what a terminal would not show at the end.

    Text that progress overwrote is gone, unless it speaks of trouble: that stays, on a line of its own.
    Not for file contents: an edit may quote the blanks at a line's end.
    """
    lines = text.split("\n")
    is_special = _SPECIAL.search(text) is not None
    if is_special:
        lines = _NOT_SHOWN.sub("", text.replace("\r\n", "\n")).split("\n")
        lines = [shown for line in lines for shown in (_returned(line) if "\r" in line else (line,))]
        if any(map(_SPECIAL.search, lines)):
            with suppress(_TangledError):
                lines = _Screen(PATIENCE * len(text) + 65_536).play(lines)
    if is_special or " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        lines = [line.rstrip(" \t") for line in lines]
    out = "\n".join(_say_once(lines))
    return Compressed(out, "terminal") if len(out) < len(text) else None


def _returned(line: str) -> list[str]:
    """A line of which each carriage return wrote over the beginning, as it stood in the end."""
    if "\x1b" in line or "\b" in line:
        return [line]
    *before, shown = [part for part in line.split("\r") if part] or [""]
    for part in reversed(before):
        if len(part) > len(shown):
            shown += part[len(shown) :]
    if not _TROUBLE.search(line):
        return [shown]
    seen = dict.fromkeys(part.strip() for part in before if _TROUBLE.search(part))
    return [*(part for part in seen if part != shown.strip()), shown]


class _TangledError(Exception):
    """So much is overwritten that following it would take longer than reading it."""


class _Screen:
    """Rows of text, and a cursor that escape sequences move."""

    def __init__(self, patience: int) -> None:
        self._rows: list[str | list[str]] = []
        self._trouble: dict[int, dict[str, None]] = {}
        self._row = self._column = 0
        self._returned = False
        self._patience = patience

    def play(self, lines: list[str]) -> list[str]:
        for line in lines:
            if self._row == len(self._rows) and not _SPECIAL.search(line):
                self._rows.append(line)
            else:
                self._type(line)
            self._row += 1
            self._column = 0
            self._returned = True
        shown: list[str] = []
        for i, row in enumerate(self._rows):
            text = row if isinstance(row, str) else "".join(row)
            shown += [seen for seen in self._trouble.get(i, ()) if seen != text.strip()]
            shown.append(text)
        return shown

    def _type(self, line: str) -> None:
        cells = self._cells()
        for count, move, control, text in _STEP.findall(line):
            if text:
                if len(cells) < self._column:
                    cells += " " * (self._column - len(cells))
                elif len(cells) > self._column:
                    self._remember(cells)
                cells[self._column : self._column + len(text)] = text
                self._column += len(text)
            elif control:
                self._column = 0 if control == "\r" else max(0, self._column - 1)
                self._returned = self._returned or control == "\r"
            elif move in "JK" and move:
                self._erase(cells, move, count)
            elif move:
                self._move(move, max(1, min(int(count[:5] or 0), MAX_COLUMN)))
                cells = self._cells()

    def _cells(self) -> list[str]:
        while self._row >= len(self._rows):
            self._rows.append([])
        cells = self._rows[self._row]
        if isinstance(cells, str):
            cells = self._rows[self._row] = list(cells)
        return cells

    def _remember(self, cells: list[str]) -> None:
        """Keep what is about to be overwritten if it speaks of trouble."""
        if self._returned:
            self._returned = False
            self._patience -= len(cells)
            if self._patience < 0:
                raise _TangledError
            text = "".join(cells).strip()
            if _TROUBLE.search(text):
                self._trouble.setdefault(self._row, {})[text] = None

    def _move(self, move: str, number: int) -> None:
        self._returned = True
        if move in "AF":
            self._row = max(0, self._row - number)
        elif move in "BE":
            self._row = min(len(self._rows), self._row + number)
        elif move == "C":
            self._column = min(self._column + number, max(self._column, MAX_COLUMN))
        elif move == "D":
            self._column = max(0, self._column - number)
        else:
            self._column = number - 1
        if move in "EF":
            self._column = 0

    def _erase(self, cells: list[str], move: str, which: str) -> None:
        self._returned = True
        if which in ("", "0"):
            if len(cells) > self._column:
                self._remember(cells)
                del cells[self._column :]
            if move == "J":
                del self._rows[self._row + 1 :]
        elif move == "K":
            self._remember(cells)
            cells[:] = " " * min(self._column, len(cells)) + "".join(cells[self._column :]) if which == "1" else ""


def _say_once(lines: list[str]) -> list[str]:
    """Runs of equal lines as one and a phrase, runs of empty ones as ``MAX_BLANK``."""
    if not any(one == two for one, two in pairwise(lines)) or any(line.startswith(_AGAIN_START) for line in lines):
        return lines
    out: list[str] = []
    for line, run in groupby(lines):
        times = sum(1 for _ in run)
        if not line:
            out += [""] * min(times, MAX_BLANK)
        elif (times - 1) * (2 + len(line) // 4) > 12:  # in tokens, about; the phrase has 9
            out += [line, AGAIN.format(times - 1)]
        else:
            out += [line] * times
    return out
