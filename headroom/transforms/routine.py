"""Test runs, installs and builds: lines that only say that all went well, counted instead of shown.

Only where lines may be left out. Failures, summaries and whatever speaks of trouble stay whole.
"""

import re
from itertools import groupby
from typing import NamedTuple

from headroom.transforms.base import Compressed, Context

MIN_LINES = 4
"""Such lines in a row below which they stay."""

TROUBLE = re.compile(
    r"error|fail|fatal|warn|exception|traceback|panic|denied|not found|cannot|critical|abort|deprecat|vulnerab|conflict"
    r"|unsupported|missing|skipp|killed|timed? ?out|\S\.\w{1,5}:\d+",
    re.I,
)
"""What a line says that never disappears; a path with a line number is among it."""


class Routine(NamedTuple):
    """Lines of one kind: how they look, and what is said in their place with their number."""

    lines: re.Pattern[str]
    left_out: str
    whatever_it_says: bool = False
    """Names of passed tests may hold any word."""


ROUTINES = (
    Routine(
        re.compile(
            r"\S+::.* PASSED\b.*"  # pytest -v
            r"|\S+\.py [.]+ +\[ *\d+%\]"  # pytest
            r"|\w+ \([\w.]+\)(?: \.\.\.| \.\.\. .*) ok"  # unittest -v
            r"|\s*[✓✔√] .*|PASS\s.*"  # jest, vitest, mocha, node
            r"|test \S.* \.\.\. ok"  # cargo
            r"|\s*(?:=== (?:RUN|PAUSE|CONT|NAME)|--- PASS:).*|ok +\t?\S+\t.*"  # go
            r"|\s*\d+/\d+ Test +#\d+: .* Passed .*"  # ctest
        ),
        "[{} lines of passed tests left out]",
        whatever_it_says=True,
    ),
    Routine(
        re.compile(
            r"\s*(?:Collecting|Downloading|Using cached|Requirement already satisfied:|Preparing metadata"
            r"|Installing build dependencies|Getting requirements to build|Building wheel|Created wheel|Stored in"
            r"|Obtaining dependency information).*"  # pip
            r"|npm (?:http|timing|sill|verb) .*"
            r"|(?:Get|Hit|Ign):\d+ .*|(?:Selecting previously|Preparing to unpack|Unpacking|Setting up"
            r"|Processing triggers for|\(Reading database).*"  # apt
        ),
        "[{} lines of downloads and installed packages left out]",
    ),
    Routine(
        re.compile(
            r"\s+(?:Compiling|Checking|Fresh|Downloaded|Downloading|Locking|Adding|Updating) \S+ .*"  # cargo
            r"|#\d+ (?:sha256:|extracting |transferring |resolve |exporting |DONE |CACHED).*"  # docker build
            r"|\s*[0-9a-f]{12}: (?:Pull|Wait|Verif|Download|Push|Prepar|Layer|Already).*"  # docker pull, push
            r"|\[ *\d+(?:%|/\d+)\] (?:Building|Linking|Generating|Compiling|Built) .*"  # cmake, ninja
            r"|\s+(?:CC|CXX|LD|AR|AS|GEN) +\S+"  # make
            r"|(?:\S*/)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(?:-\d+)? .*-c .*"
            r"|==> \S+|Compiling \d+ files? \(\.\w+\)|Generated \S+ app"  # mix
        ),
        "[{} lines of build steps left out]",
    ),
    Routine(re.compile(r'\s+\(use "git .*\)'), "[{} hints left out]"),
)


def compress(text: str, context: Context) -> Compressed | None:
    """Count lines that say that all went well."""
    if context.lossless:
        return None
    out: list[str] = []
    left_out = 0
    for routine, run in groupby(text.split("\n"), key=_routine):
        lines = list(run)
        if routine is None or len(lines) < MIN_LINES:
            out += lines
        else:
            out.append(routine.left_out.format(len(lines)))
            left_out += len(lines)
    if not left_out:
        return None
    return Compressed("\n".join(out), "routine", lossless=False, left_out=left_out)


def _routine(line: str) -> Routine | None:
    for routine in ROUTINES:
        if routine.lines.fullmatch(line):
            return routine if routine.whatever_it_says or not TROUBLE.search(line) else None
    return None
