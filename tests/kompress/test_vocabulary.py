"""What a line is known by, whoever printed it."""

import pytest

from headroom.kompress.vocabulary import content_key, content_keys


@pytest.mark.parametrize(
    "line",
    [
        "import x",
        "  import x ",
        "12:import x",
        "   12→import x",
        "12\timport x",
        "./a/b-c.py:12:import x",
        "a.ts:7: import x",
    ],
)
def test_a_line_is_known_by_what_the_file_has(line: str) -> None:
    assert content_key(line) == "import x"


@pytest.mark.parametrize("line", ["2026-11-26T07:31:48 started", "https://host:80/path", "key: value", "./a/b.py"])
def test_what_only_looks_like_a_hit_stays_whole(line: str) -> None:
    assert content_key(line) == line


def test_lines_that_are_too_short_to_be_told_from_others_have_no_key() -> None:
    assert content_keys(["}", "a.py:3:}", "return x", ""]) == ["return x"]


@pytest.mark.parametrize("text", ["x" * 1_000_000, "a/" * 500_000, "a:" * 500_000, "1" * 1_000_000, "./" * 500_000])
def test_a_very_long_line_takes_no_longer_than_it_is_long(text: str) -> None:
    """Each would take hours if the time grew with the square of the length."""
    assert content_key(text)
