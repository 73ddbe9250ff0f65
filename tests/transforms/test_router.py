"""The router tells kinds of text from the call and the content."""

import json
from pathlib import Path

from headroom.transforms import router
from headroom.transforms.base import Context

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.txt"))


def sample(path: Path) -> tuple[str, Context, str]:
    """(kind, context, text) of a labelled sample."""
    head, _, text = path.read_text(encoding="utf8").partition("\n\n")
    fields = dict(line.split(": ", 1) for line in head.split("\n"))
    return fields["kind"], Context(fields["tool"], json.loads(fields["arguments"])), text


def told(text: str, context: Context) -> str:
    found = router.kind(text, context)
    return found.name if found else "none"


def test_at_least_97_in_100_samples_are_told_right() -> None:
    assert len(SAMPLES) >= 60
    wrong = {}
    for path in SAMPLES:
        kind, context, text = sample(path)
        if told(text, context) != kind:
            wrong[path.stem] = (kind, told(text, context))
    assert len(wrong) <= 0.03 * len(SAMPLES), wrong


def test_the_lines_of_a_file_are_never_rewritten() -> None:
    for path in SAMPLES:
        kind, context, text = sample(path)
        if kind == "file":
            forms = [form for transform in router.route(text, context) if (form := transform(text, context))]
            assert {form.strategy for form in forms} <= {"frame", "line_numbers", "json"}, path.stem


def test_what_nobody_knows_stays_as_it_is() -> None:
    assert router.route("Rui looks at the rates of Spain.\n", Context("mcp__notion__page")) == []
    assert router.route("", Context()) == []


def test_a_command_says_more_than_the_text() -> None:
    listing = "shop/a.py:1:x\nshop/b.py:2:y\nshop/c.py:3:z\n"
    assert told(listing, Context("Bash", {"command": "cat hits.txt"})) == "file"
    assert told(listing, Context("Bash", {"command": "./find-hits"})) == "search"
    assert told(listing, Context("Read", {"file_path": "hits.txt"})) == "file"


def test_rows_that_begin_with_a_time_are_no_log_below_the_names_of_columns() -> None:
    rows = "".join(f"2024-05-06T00:{minute:02d}:00Z,edge-7,{minute * 7}\n" for minute in range(20))
    assert told("time,host,requests\n" + rows, Context("Bash", {"command": "curl -s https://x.test/export"})) == "csv"
    assert told(rows, Context("Bash", {"command": "curl -s https://x.test/export"})) == "log"


def test_columns_below_their_names_are_a_table() -> None:
    pods = "NAME    READY   STATUS\n" + "".join(f"web-{n}   1/1     Running\n" for n in range(9))
    assert told(pods, Context("Bash", {"command": "kubectl get pods"})) == "table"
    drawn = "+---+---+\n| a | b |\n+---+---+\n" + "| 1 | 2 |\n" * 9 + "+---+---+\n"
    assert told(drawn, Context("mcp__db__query")) == "table"
    assert told(drawn, Context("Bash", {"command": "cat table.txt"})) == "file"


def test_a_log_of_json_lines_is_data() -> None:
    events = "".join(json.dumps({"ts": f"2024-05-06T00:00:{n:02d}Z", "level": "info"}) + "\n" for n in range(9))
    assert told(events, Context("Bash", {"command": "kubectl logs deploy/payments"})) == "json"
