"""Lines that will hardly be needed are left out where that is worth its risk."""

from dataclasses import replace
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.ccr.markers import native_gaps
from headroom.kompress.vocabulary import Vocabulary
from headroom.transforms import keep
from headroom.transforms.base import Context, Outlook

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
    gaps = [line for line in lines if line.endswith("lines left out]")]
    assert 0 < len(gaps) < 12  # few, large pieces
    assert sum(int(line[1:].split()[0]) for line in gaps) == found.left_out
    assert [line for line in lines if line not in gaps] == [line for line in BUILD.split("\n") if line in set(lines)]


def test_where_a_miss_costs_more_less_is_left_out() -> None:
    cheap, dear = keep.compress(BUILD, context(prefix=0)), keep.compress(BUILD, context(prefix=4_000_000))
    assert cheap is not None
    assert dear is None or dear.left_out < cheap.left_out


def test_files_and_texts_whose_lines_mean_nothing_alone_stay_whole() -> None:
    for kind in ("json", "xml", "csv", "yaml", "table", "html", "file", ""):
        assert keep.compress(BUILD, context(kind=kind)) is None
    assert keep.compress(BUILD, context(kind="file", files=True)) is not None
    assert keep.compress(BUILD, replace(context(), outlook=None)) is None
    assert keep.compress("\n".join(["short"] * 30), context()) is None


def test_gaps_say_how_a_shell_prints_the_lines_again() -> None:
    said = native_gaps("shell")
    assert said(12, 30) == "[lines 12-41 left out; run it again through sed -n '12,41p' to see them]"
    said(50, 2), said(60, 2)
    assert said(70, 5) == "[lines 70-74 left out]"


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
