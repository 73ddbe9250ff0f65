"""Lines that will hardly be needed are left out where that is worth its risk."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.ccr.markers import native_gaps
from headroom.kompress.judge import UNIT, Hazards
from headroom.kompress.vocabulary import Vocabulary
from headroom.transforms import keep
from headroom.transforms.base import Compressed, Context, Outlook

BUILD = "\n".join(
    [
        "> build",
        *(f"compiled packages/widgets/src/generated/part{i:03}.ts in {i % 9} ms" for i in range(160)),
        "error TS2304: Cannot find name 'window_title' in packages/app/src/main.ts:14",
        *(f"compiled packages/other/src/generated/part{i:03}.ts in {i % 7} ms" for i in range(160)),
        "done with 1 error",
    ]
)


def outlook(**fields: object) -> Outlook:
    found = Vocabulary()
    found.asked("Why does the build of the application fail?")
    found.answered()
    found.speaks("Let me build it.\nnpm run build")
    values: dict[str, object] = {"said": "Let me build it.", "kind": "build", "prefix": 20_000, **fields}
    return Outlook(found, **values)  # type: ignore[arg-type]


def context(**fields: object) -> Context:
    return Context("Bash", {"command": "npm run build"}, outlook=outlook(**fields))


def test_what_speaks_of_errors_and_both_ends_stay() -> None:
    found = keep.compress(BUILD, context())
    assert found is not None and not found.lossless and found.left_out > 100
    lines = found.text.split("\n")
    assert lines[0] == "> build" and lines[-1] == "done with 1 error"
    assert any("TS2304" in line for line in lines)
    gaps = [line for line in lines if line.startswith("[") and " lines left out" in line]
    assert 0 < len(gaps) < 12  # few, large pieces
    assert sum(int(line[1:].split()[0]) for line in gaps) == found.left_out
    assert [line for line in lines if line not in gaps] == [line for line in BUILD.split("\n") if line in set(lines)]


def test_where_a_miss_costs_more_less_is_left_out() -> None:
    cheap, dear = keep.compress(BUILD, context(prefix=0)), keep.compress(BUILD, context(prefix=4_000_000))
    assert cheap is not None
    assert dear is None or dear.left_out < cheap.left_out


def test_texts_whose_lines_mean_nothing_alone_stay_whole() -> None:
    for kind in ("json", "xml", "csv", "yaml", "table", "html", ""):
        assert keep.compress(BUILD, context(kind=kind)) is None
    assert keep.compress(BUILD, context(kind="json", file=True)) is not None  # each line of a file has its number
    assert keep.compress(BUILD, replace(context(), outlook=None)) is None
    assert keep.compress("\n".join(["short"] * 30), context()) is None


def test_gaps_say_how_a_shell_prints_the_lines_again() -> None:
    said = native_gaps("shell")
    assert said(12, 30) == "[lines 12-41 left out; run it again through sed -n '12,41p' to see them]"
    said(50, 2), said(60, 2)
    assert said(70, 5) == "[lines 70-74 left out]"


CODE = "\n".join(
    [
        "import window",
        *(f"    step_{i} = window" for i in range(20)),
        "def serve_forever(poll_interval):",
        *("    window.draw(window, window, window, window, window)" for _ in range(20)),
        "    window.close()",
    ]
)


def rated(monkeypatch: pytest.MonkeyPatch, lines: float, names: float) -> None:
    """A judge that takes each line and each name to be as likely."""

    class Rated:
        def hazards(self, text: str, situation: object, vocabulary: object) -> Hazards:
            count = text.count("\n") + 1
            return Hazards(*(np.full(count, int(share * UNIT), np.int64) for share in (lines, names)))

    monkeypatch.setattr("headroom.kompress.judge.judge", Rated)


def gaps(found: Compressed | None) -> list[str]:
    assert found is not None
    return [line for line in found.text.split("\n") if "left out" in line]


def test_a_gap_tells_the_names_that_stand_there_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    rated(monkeypatch, lines=0, names=0.1)
    code = replace(context(kind="file", bold=True), gap=native_gaps("shell"))
    (gap,) = gaps(keep.compress(CODE, code))
    steps = " ".join(f"step_{i}" for i in range(20))
    how = "run it again through sed -n '2,42p' to see them"
    assert gap == f"[lines 2-42 left out; {how}; new names in them: {steps} 22:serve_forever poll_interval]"
    assert code.outlook is not None
    code.outlook.vocabulary.shown("serve_forever")
    assert "; new names in them: step_0 " in gaps(keep.compress(CODE, code))[0]
    assert "serve_forever" not in gaps(keep.compress(CODE, code))[0]  # it stands elsewhere


def test_names_that_hardly_anybody_will_miss_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rated(monkeypatch, lines=0, names=0)
    assert "new names" not in gaps(keep.compress(CODE, context(kind="file", bold=True)))[0]


def test_a_list_of_names_is_not_told_by_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    rated(monkeypatch, lines=0, names=0.1)
    names = "\n".join(f"src/{'generated'}/file{i:03}.ts" for i in range(60))
    assert keep.compress(names, context(kind="names")) is None  # it would be as long
    rows = "\n".join(f"-rw-r--r-- 1 root root {i:4} Oct  4 2024 p{i}" for i in range(60))
    (gap,) = gaps(keep.compress(rows, context(kind="rows")))
    assert f"new names in them: {' '.join(f'p{i}' for i in range(1, 59))}]" in gap  # names of two letters, too


def test_who_has_a_file_printed_sees_a_good_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rated(monkeypatch, lines=0.0001, names=0)
    code = "\n".join(f"    window.draw({'window, ' * (1 + i % 7)})" for i in range(200))
    dared, asked = (keep.compress(code, context(kind="file", bold=bold)) for bold in (True, False))
    assert dared is not None and dared.left_out == 198
    assert asked is None or asked.left_out < 120


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-40, 40), min_size=1, max_size=9), st.integers(1, 20))
def test_the_best_runs_are_found(values: list[int], gap: int) -> None:
    """Against all that could be chosen."""
    n = len(values)
    spans = [(i, j) for i in range(n) for j in range(i + 1, n + 1)]

    def worth(runs: tuple[tuple[int, int], ...]) -> int:
        return sum(sum(values[i:j]) - gap for i, j in runs)

    choices = [
        runs for size in range(4) for runs in combinations(spans, size) if all(a[1] <= b[0] for a, b in pairwise(runs))
    ]
    best = tuple(keep.best_runs(values, gap))
    assert all(0 <= i < j <= n for i, j in best)
    assert worth(best) >= max(map(worth, choices))
