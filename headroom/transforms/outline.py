"""Code that is only looked through: signatures, comments and the first line of docstrings; bodies are left out.

    12  def total(lines: list[Line]) -> Decimal:        12  def total(lines: list[Line]) -> Decimal:
    13      \"\"\"The sum of an order.                      13      \"\"\"The sum of an order.
    14                                                  [lines 14-40 left out]
    15      Rounds half to even.
        (25 more lines)

Whole lines only, each as it stands. Needs tree-sitter and its grammars (``pip install headroom[code]``). Only for tools
whose profile is ``outline``, which is refused where they are missing: not where an edit may follow, since the lines
that it would quote are gone.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from headroom.transforms.base import Compressed, Context
from headroom.transforms.commands import command_of

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LEFT_OUT = "[lines {}-{} left out]"
LEAST_BODY = 4
"""Lines of a body below which it stays."""
MOST = 1_000_000
"""Characters of the texts that are looked at."""

_PYTHON = ("tree_sitter_python", "language")
_JAVASCRIPT = ("tree_sitter_javascript", "language")
_TYPESCRIPT = ("tree_sitter_typescript", "language_typescript")
_TSX = ("tree_sitter_typescript", "language_tsx")
_GO = ("tree_sitter_go", "language")
_RUST = ("tree_sitter_rust", "language")
_JAVA = ("tree_sitter_java", "language")
_LANGUAGES = {
    "py": _PYTHON, "pyi": _PYTHON, "python": _PYTHON,
    "js": _JAVASCRIPT, "jsx": _JAVASCRIPT, "mjs": _JAVASCRIPT, "cjs": _JAVASCRIPT, "javascript": _JAVASCRIPT,
    "ts": _TYPESCRIPT, "mts": _TYPESCRIPT, "cts": _TYPESCRIPT, "typescript": _TYPESCRIPT, "tsx": _TSX,
    "go": _GO, "golang": _GO, "rs": _RUST, "rust": _RUST, "java": _JAVA,
}  # fmt: skip
"""Endings of files, and what fences of Markdown call a language: the grammar's module and function."""
_FUNCTIONS = frozenset({
    "function_definition", "function_declaration", "generator_function_declaration", "function_expression",
    "arrow_function", "method_definition", "method_declaration", "constructor_declaration", "function_item",
    "func_literal",
})  # fmt: skip
_PATHS = ("file_path", "path", "absolute_path", "target_file", "filename")
_ENDING = re.compile(r"\.(\w{1,5})$")
_NAMED_IN_COMMAND = re.compile(r"[\w/.-]+\.(\w{1,5})(?=[\s'\";|)]|$)")
_NUMBER = re.compile(r" *(\d+)[\t→]")
_PART = re.compile(r"^(?:--- (?P<path>\S.*?) ---|```(?P<fence>\w+).*|(?P<end>```))$", re.M)


def compress(text: str, context: Context) -> Compressed | None:
    """The outline of a file, of several files one after the other, or of a page with fenced code; None where there is
    no code in a language that is known, or too little of it."""
    if context.lossless or not context.outline or len(text) > MOST:
        return None
    lines = text.split("\n")
    out: list[str] = []
    done = left_out = 0
    for first, last, language in _parts(lines, _language(context)):
        for start, end in _bodies(lines[first:last], language):
            out += [*lines[done : first + start], LEFT_OUT.format(*_numbers(lines, first, start, end))]
            done = first + end
            left_out += end - start
    if not left_out:
        return None
    return Compressed("\n".join([*out, *lines[done:]]), "outline", lossless=False, left_out=left_out)


def _language(context: Context) -> str:
    """What the call says of the language; "" for nothing."""
    for name in _PATHS:
        path = context.arguments.get(name)
        if isinstance(path, str) and (ending := _ENDING.search(path)):
            return ending[1].lower()
    named = set(_NAMED_IN_COMMAND.findall(command_of(context.arguments)))
    return named.pop().lower() if len(named) == 1 else ""


def _parts(lines: list[str], language: str) -> Iterator[tuple[int, int, str]]:
    """Runs of lines in one language: (first, after the last, language)."""
    first, inside, fenced = 0, language, False
    for i, line in enumerate(lines):
        if not line.startswith(("--- ", "```")) or (part := _PART.match(line)) is None:
            continue
        if part["end"] and not fenced:
            continue
        if inside in _LANGUAGES and first < i:
            yield first, i, inside
        first, fenced = i + 1, part["fence"] is not None
        ending = _ENDING.search(part["path"] or "")
        inside = (part["fence"] or (ending[1] if ending else "") or "").lower()
    if inside in _LANGUAGES and first < len(lines):
        yield first, len(lines), inside


def _bodies(lines: list[str], language: str) -> list[tuple[int, int]]:
    """What of the lines is left out: (first, after the last) of each body."""
    code = [line[number.end() :] if (number := _NUMBER.match(line)) else line for line in lines]
    tree = _parser(language).parse("\n".join(code).encode("utf-8", "replace"))
    found: list[tuple[int, int]] = []
    below = [tree.root_node]
    while below:
        node = below.pop()
        body = node.child_by_field_name("body") if node.type in _FUNCTIONS else None
        if body is None:
            below += reversed(node.children)
            continue
        start, end = _inside(node, body)
        if end - start >= LEAST_BODY:
            found.append((start, end))
    return found


def _inside(node: "Node", body: "Node") -> tuple[int, int]:
    """The rows of a body without its braces, its docstring's first line, and what shares a line with something else."""
    start, end = body.start_point.row, body.end_point.row + (body.end_point.column > 0)
    if body.type == "block" and (not body.children or body.children[0].type != "{"):  # Python
        start = max(start, node.start_point.row + 1)
        first = body.children[0] if body.children else None
        if first is not None and first.type == "expression_statement" and first.children[0].type == "string":
            start += 1
        return start, end
    return start + 1, end - 1


def _numbers(lines: list[str], first: int, start: int, end: int) -> tuple[int, int]:
    """What the first and the last of the lines left out are called: by their own numbers, or counted in their part."""
    own = _NUMBER.match(lines[first + start]), _NUMBER.match(lines[first + end - 1])
    return (int(own[0][1]), int(own[1][1])) if own[0] and own[1] else (start + 1, end)


@lru_cache(maxsize=len(_LANGUAGES))
def _parser(language: str) -> "Parser":
    from tree_sitter import Language, Parser

    module, function = _LANGUAGES[language]
    return Parser(Language(getattr(import_module(module), function)()))
