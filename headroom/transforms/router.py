"""What kind of text is this, and which transforms take it, in which order.

Told from the call first (the tool's name, the words of a shell command), then from the text's first characters. The
registry is data: a new kind is one more entry, the first that applies is taken, and a text of no kind stays as it is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from headroom.transforms import (
    diff,
    envelope,
    excerpts,
    frames,
    html,
    kompress,
    line_numbers,
    listing,
    log_templates,
    logs,
    outline,
    parts,
    routine,
    search,
    smart_crusher,
    table_values,
    terminal,
    times,
    tracebacks,
)
from headroom.transforms.base import Compressed, Context, Transform
from headroom.transforms.commands import ECHO, command_of, kinds

SAMPLE = 8_000
"""Characters at the beginning that are looked at, and about"""
SAMPLE_END = 1_000
"""at the end, where test runs are summed up."""
MAX_LINES = 80


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FILE_TOOLS = _words(
    "read notebookread read_file read_many_files view open_file view_file get_file_contents edit multiedit write "
    "notebookedit write_file replace apply_patch str_replace_editor str_replace_based_edit_tool"
)
SEARCH_TOOLS = _words("grep grep_search search_file_content ripgrep grep_files")
PATH_TOOLS = _words("glob find_files file_search")
SHELL_TOOLS = _words(
    "bash shell exec_command local_shell container.exec run_shell_command taskoutput bashoutput write_stdin execute "
    "run_command terminal run_terminal_cmd execute_command exec functions.exec wait shell_command"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the registry decides from. ``printed`` are the kinds of text that the shell commands print, ``lines`` the
    first lines that are not empty, ``start`` and ``end`` the first and last characters."""

    tool: str
    printed: tuple[str, ...]
    lines: tuple[str, ...]
    start: str
    end: str

    def share(self, pattern: re.Pattern[str]) -> float:
        """Which part of the lines begins so; 0 where they are too few to tell."""
        return sum(pattern.match(line) is not None for line in self.lines) / max(3, len(self.lines))

    def prints(self, *wanted: str) -> bool:
        """Whether the commands print these kinds and no other."""
        said = set(self.printed) - {ECHO}
        return bool(said) and said <= set(wanted)

    @property
    def is_open(self) -> bool:
        """Whether the call does not say what the text is."""
        if self.tool in SHELL_TOOLS:
            return set(self.printed) <= {"", "shell", ECHO}
        return self.tool not in FILE_TOOLS


def see(text: str, context: Context) -> Seen:
    """Look at the call and at the text's beginning."""
    tool = context.tool.lower()
    start = text[:SAMPLE]
    lines = start.split("\n")
    if len(text) > SAMPLE and len(lines) > 1:
        lines.pop()  # cut short
    parts = frames.bodies(lines)
    body = [line for line in (lines[parts[0][0] : parts[0][1]] if parts else []) if line][:MAX_LINES]
    return Seen(
        tool,
        tuple(kinds(command_of(context.arguments))) if tool in SHELL_TOOLS else (),
        tuple(body),
        "\n".join(lines[parts[0][0] :]) if parts else start,
        text[-SAMPLE_END:],
    )


_JSON = re.compile(r'\s*(?:\{\s*(?:"|\})|\[\s*(?:[\[{"\]]|-?\d+(?:\.\d+)?\s*[,\]]|(?:true|false|null)\s*[,\]]))')
_XML = re.compile(r"\s*<(?:\?xml\s|[A-Za-z_][\w:.-]*(?:\s+[\w:.-]+=\"[^\"]*\")*\s*>\s*<)")
_DIFF = re.compile(r"^(?:diff --(?:git|cc) |Index: \S|commit [0-9a-f]{40}\b|--- \S.*\n\+\+\+ \S)", re.M)
_TREE = re.compile(r"[\s\xa0]*(?:[│├└]|\|--|`--|\|   )")
_HIT = re.compile(r"(?:[A-Za-z]:\\)?(?=[^\s:A-Za-z_]*+[A-Za-z_])[^\s:]{1,300}?[:-]\d+[:-]|--\Z")
_PATH = re.compile(r"(?:[A-Za-z]:\\|~?/|\./|\.\./)?[\w@.+-]+(?:[/\\][\w@.+ ()\[\]-]*)+\Z")
_PATHS_FOUND = re.compile(r"(?:Found \d+ files?|No files found)")
_PART = re.compile(r"^(?:`{3}|~{3}|diff --(?:git|cc) |[{\[](?:$|[\s\"{\[]))", re.M)
_TEST = re.compile(
    r"^(?:=+ test session starts =+|running \d+ tests?$|test result: |Ran \d+ tests? in |Tests: +\d|Test Suites: "
    r"|--- (?:PASS|FAIL): |(?:ok|FAIL)[ \t]+\S+[ \t]+[\d.]+s|# tests \d|=+ .*\b\d+ (?:passed|failed)\b.* =+"
    r"|\d+ tests?, \d+ failures?|Finished in [\d.]+ seconds|[ \t]*Test Files  |\d+ passing \()",
    re.M,
)
_CODE = re.compile(
    r"\s*(?:(?:async )?def |class \w|import |from \S+ import |return\b|else:|try:"
    r"|(?:if|elif|for|while|with|except)\b.*:\s*\Z|@\w|(?:const|let|var|export|function|public|private|protected|static|use|pub|fn|impl|package|func|type|struct"
    r"|enum|interface|namespace|module|require|defp?|defmodule) |#(?:include|define|if|endif|pragma)\b|//|/\*|\*[ /]|#!"
    r"|[})\]]+[;,]?\Z|end\Z|self\.\w+ = |.*[{};]\Z|\w[\w.]* = \S)"
)
_NAMES = re.compile(r"[A-Za-z_][\w .#%()/$-]{0,59}(?:[,;\t][A-Za-z_][\w .#%()/$-]{0,59}){2,}\Z")
_NUMBERED = re.compile(r"\s*\d+(?:\t|→|\s*\| )")
_YAML = re.compile(r"\s*(?:- )*[\w./-]+:(?:\s|\Z)|\s*- \S|#|---\Z")
_YAML_START = re.compile(r"(?:---\n|#.*\n)*(?:- )?[\w./-]+:(?: |\n)")


def _has_names(seen: Seen) -> bool:
    """Whether the first line could name the columns of the others."""
    return bool(seen.lines) and _NAMES.match(seen.lines[0]) is not None


def _is_csv(seen: Seen) -> bool:
    """Whether the first lines have the same number of commas, semicolons or tabs."""
    lines = seen.lines[:10]
    for separator, least in (("\t", 1), (",", 2), (";", 2)):
        counts = {line.count(separator) for line in lines if '"' not in line}
        if len(lines) > 2 and len(counts) == 1 and min(counts) >= least:
            return not any(". " in line for line in lines)
    return False


def _is_yaml(seen: Seen) -> bool:
    return "shell" not in seen.printed and _YAML_START.match(seen.start) is not None and seen.share(_YAML) > 0.8


def _is_paths(seen: Seen) -> bool:
    body = [line for line in seen.lines if not _PATHS_FOUND.match(line)]
    return len(body) > 2 and all(map(_PATH.match, body))


_OUTPUT: tuple[Transform, ...] = (
    terminal.compress,
    excerpts.compress,
    tracebacks.compress,
    routine.compress,
    smart_crusher.embedded,
    times.compress,
    logs.compress,
    frames.compress,
)
_LOG: tuple[Transform, ...] = (
    terminal.compress,
    tracebacks.compress,
    log_templates.compress,
    smart_crusher.embedded,
    times.compress,
    logs.compress,
    frames.compress,
)
_FILE: tuple[Transform, ...] = (outline.compress, line_numbers.unalign, frames.compress)
_DATA: tuple[Transform, ...] = (smart_crusher.compress, logs.compress, frames.compress)
"""Rows of data begin alike as lines of a log do: with a date, most of all."""


_SHOWN = frozenset({"file", "json", "html", "xml", "yaml", "prose", "parts"})
"""Kinds of fenced blocks that show how something is to be written."""


def _by_kind(text: str, context: Context) -> Compressed | None:
    """A part of a text, or what is left of one, as its kind is written."""
    found = _kind(see(text, context))
    if found is None or found.name in _SHOWN:
        return None
    forms: list[Compressed] = []
    for transform in found.transforms:
        form = transform(forms[-1].text if forms else text, context)
        if form is not None:
            forms.append(form)
    if not forms:
        return None
    lossless, left_out = all(form.lossless for form in forms), sum(form.left_out for form in forms)
    return Compressed(forms[-1].text, forms[0].strategy, lossless, left_out)


def _fenced(text: str, context: Context) -> Compressed | None:
    """What tools printed and somebody put into fences; source code and JSON there stay."""
    alone = replace(context, tool="", arguments={})
    return parts.fenced(text, lambda body: _by_kind(body, alone))


_PARTS: tuple[Transform, ...] = (
    _fenced,
    smart_crusher.embedded,
    _by_kind,
    diff.compress,
    outline.compress,
    kompress.compress,
    frames.compress,
)


class Kind(NamedTuple):
    """A kind of text: its name, how it is told, and what is done to it.

    ``opens`` gives the text its lines back, on which all the others work: it is put on first, shorter or not.
    """

    name: str
    applies: Callable[[Seen], bool]
    transforms: tuple[Transform, ...]
    opens: Transform | None = None


def _printing(*names: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.prints(*names)


KINDS: tuple[Kind, ...] = (
    # What the call says.
    Kind("file", lambda seen: seen.tool in FILE_TOOLS or "file" in seen.printed, _FILE),
    Kind("names", lambda seen: seen.prints("names") and ECHO not in seen.printed, (listing.names, frames.compress)),
    Kind("rows", _printing("rows", "names"), (listing.rows, frames.compress)),
    Kind("tree", _printing("tree"), (listing.drawing, frames.compress)),
    Kind(
        "paths",
        lambda seen: seen.tool in PATH_TOOLS or seen.prints("paths") or (seen.tool in SEARCH_TOOLS and _is_paths(seen)),
        (listing.paths, frames.compress),
    ),
    Kind("search", lambda seen: seen.tool in SEARCH_TOOLS or seen.prints("search"), (search.compress, frames.compress)),
    Kind("diff", _printing("diff"), (diff.compress, frames.compress)),
    Kind(
        "lint",
        _printing("lint"),
        (terminal.compress, excerpts.compress, search.compress, logs.compress, frames.compress),
    ),
    Kind("json", lambda seen: seen.prints("log") and _JSON.match(seen.start) is not None, _DATA),
    Kind("log", _printing("log"), _LOG),
    Kind("test", _printing("test"), _OUTPUT),
    Kind("build", _printing("build", "install"), _OUTPUT),
    # What the text says, where the call does not.
    Kind(
        "html",
        lambda seen: seen.is_open and html.PAGE.match(seen.start) is not None,
        (html.compress, outline.compress, frames.compress),
    ),
    Kind("json", lambda seen: seen.is_open and _JSON.match(seen.start) is not None, _DATA),
    Kind("xml", lambda seen: seen.is_open and _XML.match(seen.start) is not None, _DATA),
    Kind("diff", lambda seen: seen.is_open and _DIFF.match(seen.start) is not None, (diff.compress, frames.compress)),
    Kind("table", lambda seen: seen.is_open and table_values.looks_so(seen.lines), _DATA),
    Kind("csv", lambda seen: seen.is_open and _has_names(seen) and _is_csv(seen), _DATA),
    Kind(
        "log",
        lambda seen: seen.is_open and seen.share(log_templates.TIME) > 0.5,
        _LOG,
    ),
    Kind("rows", lambda seen: seen.is_open and seen.share(listing.ROW) > 0.6, (listing.rows, frames.compress)),
    Kind("tree", lambda seen: seen.is_open and seen.share(_TREE) > 0.6, (listing.drawing, frames.compress)),
    Kind("test", lambda seen: seen.is_open and _is_test(seen), _OUTPUT),
    Kind("file", lambda seen: seen.is_open and seen.share(_NUMBERED) > 0.9, _FILE),
    Kind("search", lambda seen: seen.is_open and seen.share(_HIT) > 0.6, (search.compress, frames.compress)),
    Kind(
        "paths", lambda seen: seen.is_open and len(seen.lines) > 2 and _is_paths(seen), (listing.paths, frames.compress)
    ),
    Kind("csv", lambda seen: seen.is_open and _is_csv(seen), _DATA),
    Kind(
        "yaml",
        lambda seen: seen.is_open and _YAML_START.match(seen.start) is not None and seen.share(_YAML) > 0.8,
        _DATA,
    ),
    Kind("file", lambda seen: seen.is_open and seen.share(_CODE) > 0.5, _FILE),
    # Output of commands that nobody knows, or of several.
    Kind(
        "mixed",
        lambda seen: bool({"diff", "search"}.intersection(seen.printed)),
        (listing.rows, diff.compress, search.compress, smart_crusher.embedded, frames.compress),
    ),
    Kind("parts", lambda seen: _has_parts(seen), _PARTS),
    Kind("output", lambda seen: seen.tool in SHELL_TOOLS, (line_numbers.unalign, listing.rows, *_OUTPUT)),
)
"""In the order in which they are tried."""


def _has_parts(seen: Seen) -> bool:
    """Whether something of another kind stands between the lines of what is no shell's output."""
    return seen.is_open and seen.tool not in SHELL_TOOLS and _PART.search(seen.start) is not None


def _is_test(seen: Seen) -> bool:
    return any(_TEST.search(part) for part in (seen.start, seen.end))


_TEXT = Kind("file", lambda _: True, (), envelope.unwrap)
"""JSON that is mostly one text: nobody knows whether an edit will quote it."""


_PROSE = Kind("prose", lambda _: True, (outline.compress, kompress.compress))
"""Texts of no other kind, where words or bodies of code may be left out."""


def kind(text: str, context: Context) -> Kind | None:
    """The kind of a text; None where nobody knows.

    What a client wrote around the text does not count, and no transform is put on it.
    """
    found = _kind_of(text, context)
    may = found is None and not context.lossless
    return _PROSE if may and (context.outline or kompress.is_prose(text)) else found


def _kind_of(text: str, context: Context) -> Kind | None:
    if context.tool.lower() in FILE_TOOLS:
        return _kind(see(text, context))
    lines = envelope.unwrapped(text)
    if lines is not None and not envelope.is_call(lines):
        seen = see(text, context)
        return _TEXT if seen.is_open else _kind(seen)
    parts = envelope.bodies(lines or text)
    if lines is None and parts == [(0, len(text))]:
        return _kind(see(text, context))
    found = _kind(see("\n".join((lines or text)[start:end] for start, end in parts), context))
    transforms = found.transforms if found else ()
    within = tuple(envelope.inside(transform) for transform in transforms if transform is not frames.compress)
    opens = envelope.unwrap if lines is not None else None
    return (found or _TEXT)._replace(transforms=within, opens=opens) if found or opens else None


def _kind(seen: Seen) -> Kind | None:
    return next((kind for kind in KINDS if kind.applies(seen)), None)


def route(text: str, context: Context) -> list[Transform]:
    """The transforms for a text, in the order in which they are put on; none where nobody knows its kind."""
    found = kind(text, context)
    return [*([found.opens] if found.opens else []), *found.transforms] if found else []
