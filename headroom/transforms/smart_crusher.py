"""Structured data (JSON, JSON lines, CSV, tables, YAML, XML) written shorter.

Every value is first written in the form of ``notation``: nothing is lost, and every string and key still stands in it
verbatim. Where something may be left out, long arrays are then cut down to what ``selection`` keeps.

Why this form: docs/compression-json.md.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from headroom.transforms import (
    csv_values,
    json_values,
    parts,
    relevance,
    selection,
    table_values,
    xml_values,
    yaml_values,
)
from headroom.transforms.base import Compressed, Context
from headroom.transforms.config import SmartCrusherConfig
from headroom.transforms.notation import TooDeepError, write, write_lines

TIERS = {"bm25": selection.bm25, "embedding": relevance.meaning}
_LEAST = 40  # characters of a text worth reading, and
_LEAST_PART = 80  # of a part between other text
_MOST_OTHER = 1_000_000  # characters of other formats, which take longer to read than JSON
_SURELY = 16  # characters a token: a text of more needs no counting
_LEAST_ROWS = 3  # of YAML: without rows it is as short as it gets, and a list in Markdown is YAML too
_XML = re.compile(r"\s*+<(?:\?xml |[A-Za-z_])")
_YAML = re.compile(r"(?:- )*+[A-Za-z0-9_./-]++:(?: |\n)")


class SmartCrusher:
    """The transform, with its settings. ``scorer`` scores items against the query; without one the tier of the
    settings decides how."""

    def __init__(self, config: SmartCrusherConfig | None = None, scorer: selection.Relevance | None = None) -> None:
        self.config = config or SmartCrusherConfig()
        self._relevance = scorer or TIERS[self.config.relevance_tier]

    def compress(self, text: str, context: Context) -> Compressed | None:
        """Write the structured data in a text shorter; None where there is none, or nothing is gained."""
        if not self.config.enabled or len(text) < _LEAST:
            return None
        least = self.config.min_tokens_to_crush
        may_leave_out = (
            not context.lossless
            and not self.config.lossless_only
            and (len(text) > _SURELY * least or context.count(text) >= least)
        )
        query = context.query if may_leave_out else None
        try:
            return self._json(text, query) or self._table(text, query)
        except (TooDeepError, RecursionError):
            return None

    def embedded(self, text: str, context: Context) -> Compressed | None:
        """The same for JSON that stands between other lines, of ``parts.LEAST`` characters and more each."""
        if not self.config.enabled or ("{" not in text and "[" not in text):
            return None
        query = None if context.lossless or self.config.lossless_only else context.query
        try:
            return self._json(text, query, parts.LEAST)
        except (TooDeepError, RecursionError):
            return None

    def _crush(self, value: Any, query: str | None) -> tuple[Any, int]:
        if query is None:
            return value, 0
        return selection.crush(value, self.config, query, self._relevance)

    def _json(self, text: str, query: str | None, least_part: int = _LEAST_PART) -> Compressed | None:
        out: list[str] = []
        at = left_out = 0
        for run in _runs(text):
            start, end = run[0][0], run[-1][1]
            if end - start < (least_part if text[:start].strip() else _LEAST):
                continue
            value, gone = self._crush([value for _, _, value in run] if len(run) > 1 else run[0][2], query)
            new, _ = write_lines(value) if len(run) > 1 else write(value)
            if len(new) < end - start:
                out += [text[at:start], new]
                at = end
                left_out += gone
        return _compressed("".join((*out, text[at:])), "json", left_out) if out else None

    def _table(self, text: str, query: str | None) -> Compressed | None:
        """The other formats, which are always the whole of a text."""
        if len(text) > _MOST_OTHER:
            return None
        try:
            if _XML.match(text):
                declaration, name, value = xml_values.parse(text.strip())
                if type(value) is not dict:
                    return None
                value, gone = self._crush(value, query)
                written = f"<{name}>{write(value)[0]}"
                new, strategy = f"{declaration}\n{written}" if declaration else written, "xml"
            elif _YAML.match(text):
                value, gone = self._crush(yaml_values.parse(text), query)
                new, rows = write(value)
                if rows < _LEAST_ROWS:
                    return None
                strategy = "yaml"
            elif table_values.looks_so(text.split("\n", 4)[:4]):
                table = table_values.parse(text)
                value, gone = self._crush(table.rows, query)
                new, strategy = f"{write(value)[0]}\n{table.foot}".rstrip("\n"), "table"
            elif query is not None or csv_values.says_something_twice(text):
                value, gone = self._crush(csv_values.parse(text), query)
                new, strategy = write(value)[0], "csv"
            else:
                return None
        except ValueError:
            return None
        return _compressed(new, strategy, gone) if len(new) < len(text.rstrip()) else None


def _compressed(text: str, strategy: str, left_out: int) -> Compressed:
    return Compressed(text, "smart_crusher", False, left_out) if left_out else Compressed(text, strategy)


def _runs(text: str) -> Iterator[list[tuple[int, int, Any]]]:
    """Objects that follow each other with only space between them; any other value by itself."""
    run: list[tuple[int, int, Any]] = []
    for found in json_values.find(text):
        if run and not (type(found[2]) is type(run[-1][2]) is dict and text[run[-1][1] : found[0]].isspace()):
            yield run
            run = []
        run.append(found)
    if run:
        yield run


@lru_cache(maxsize=16)
def _with(config: SmartCrusherConfig) -> SmartCrusher:
    return SmartCrusher(config)


def compress(text: str, context: Context) -> Compressed | None:
    """Write the structured data in a text shorter, as the context's settings say."""
    return _with(context.smart_crusher).compress(text, context)


def embedded(text: str, context: Context) -> Compressed | None:
    """The same for JSON between other lines."""
    return _with(context.smart_crusher).embedded(text, context)
