"""Times of log lines as seconds after the line before: shorter, and each can be had back to its last digit."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.transforms.base import Context
from headroom.transforms.times import LEGEND, compress
from tests.support.short import short

LOG = """\
2026-11-24T01:02:03.000Z order 17 stored
2026-11-24T01:02:03.137Z order 18 stored
2026-11-24T01:02:05.500Z order 19 stored
  with a note
2026-11-24T01:02:05.900Z ERROR disk full
2026-11-24T01:02:05.900Z order 20 stored
2026-11-24T02:00:00.000Z order 21 stored
"""
SHORT = """\
[+N: N seconds after the time before]
2026-11-24T01:02:03.000Z order 17 stored
+0.137 order 18 stored
+2.363 order 19 stored
  with a note
2026-11-24T01:02:05.900Z ERROR disk full
+0 order 20 stored
+3474.1 order 21 stored
"""
FORMATS = (
    ("%Y-%m-%dT%H:%M:%S", ".", 3, "Z"),
    ("%Y-%m-%d %H:%M:%S", ",", 3, ""),
    ("[%Y-%m-%d %H:%M:%S", "", 0, "]"),
    ("%H:%M:%S", ".", 6, ""),
    ("%Y-%m-%dT%H:%M:%S", ".", 9, "+01:00"),
)


def test_a_log_says_how_long_after_each_other_its_lines_came() -> None:
    assert short(compress, LOG, Context()).text == SHORT


def written(moment: datetime, nanoseconds: int, kind: tuple[str, str, int, str]) -> str:
    form, point, digits, end = kind
    return moment.strftime(form) + (point + f"{nanoseconds:09}"[:digits] if digits else "") + end


def read(text: str, kind: tuple[str, str, int, str]) -> str:
    """What a reader makes of it: adds up."""
    form, point, digits, end = kind
    moment = re.sub("%[A-Za-z]", r"\\d+", form.replace("[", r"\["))
    absolute = re.compile(
        f"({moment})" + (re.escape(point) + rf"(\d{{{digits}}})" if digits else "()") + re.escape(end)
    )
    legend, _, rest = text.partition("\n")
    assert legend == LEGEND
    out: list[str] = []
    at, ticks = datetime(1, 1, 1), 0
    for line in rest.split("\n"):
        said = re.match(r"\+(\d+)(?:\.(\d+))?(?= )", line)
        if said is None:
            if whole := absolute.match(line):
                at, ticks = datetime.strptime(whole[1], form), int(whole[2] or 0)
            out.append(line)
            continue
        ticks += int((said[2] or "").ljust(digits, "0") or 0)
        at += timedelta(seconds=int(said[1]) + ticks // 10**digits)
        ticks %= 10**digits
        out.append(at.strftime(form) + (point + f"{ticks:0{digits}}" if digits else "") + end + line[said.end() :])
    return "\n".join(out)


LINES = st.lists(
    st.tuples(
        st.integers(-3, 90_000) | st.integers(0, 5),
        st.integers(0, 999_999_999),
        st.sampled_from(["order stored", "ERROR not stored", "x", "again 12:00:00 and more words"]),
        st.booleans(),
    ),
    min_size=5,
    max_size=20,
)


@pytest.mark.parametrize("kind", FORMATS)
@given(lines=LINES)
def test_each_time_can_be_had_back(kind: tuple[str, str, int, str], lines: list[tuple[int, int, str, bool]]) -> None:
    moment, rows = datetime(2026, 2, 27, 23, 59, 50), []
    for seconds, part, said, note in lines:
        moment += timedelta(seconds=seconds)
        rows.append(f"{written(moment, part, kind)} {said}")
        if note:
            rows.append("    a line without a time")
    text = "\n".join(rows)
    found = compress(text, Context())
    if found is not None:
        assert found.lossless and len(found.text) < len(text)
        assert read(found.text, kind) == text


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(LOG.split("\n")[:4]),
        LOG.replace("05.500Z", "05.5Z"),
        LOG.replace("T01:02:05.500Z", " 01:02:05.500Z"),
        LOG + "+5 points\n",
        SHORT,
        "no time at all\n" * 20,
    ],
    ids=["few", "other digits", "other forms", "a plus already", "done already", "none"],
)
def test_others_stay(text: str) -> None:
    assert compress(text, Context()) is None


def test_a_day_that_is_none_stays() -> None:
    text = LOG.replace("2026-11-24T01:02:03.137Z", "2026-02-31T01:02:03.137Z")
    assert "2026-02-31T01:02:03.137Z order 18" in short(compress, text, Context()).text
