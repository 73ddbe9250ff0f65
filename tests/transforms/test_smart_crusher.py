import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.tokenizers import count
from headroom.transforms import SmartCrusher, SmartCrusherConfig, csv_values, table_values, xml_values, yaml_values
from headroom.transforms.base import Context
from headroom.transforms.json_values import parse
from headroom.transforms.smart_crusher import compress
from tests.support.notation import read, read_lines, same

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = [path for kind in ("json", "csv", "table", "xml", "yaml") for path in sorted((GOLDEN / kind).glob("*.in"))]
LOSSY = Context(lossless=False)
ROWS = [{"id": i, "name": f"item number {i}", "price": 10 + i % 3, "stock": "yes"} for i in range(40)]


def shortened(text: str, context: Context | None = None) -> str:
    found = compress(text, context or Context())
    assert found is not None
    return found.text


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_samples_are_written_as_recorded_and_in_fewer_tokens(path: Path) -> None:
    text, expected = path.read_text(), path.with_suffix(".out").read_text()
    found = compress(text, Context())
    assert found is not None
    assert (found.text, found.lossless, found.left_out) == (expected, True, 0)
    assert found.strategy == path.parent.name
    assert count(expected) < count(text)


@pytest.mark.parametrize("name", ["guest", "pip-list", "ruff", "sql-rows"])
def test_json_samples_can_be_read_back(name: str) -> None:
    text = (GOLDEN / "json" / f"{name}.in").read_text()
    assert same(read(shortened(text).strip()), parse(text))


def test_json_lines_can_be_read_back() -> None:
    text = (GOLDEN / "json" / "mypy-lines.in").read_text()
    assert same(read_lines(shortened(text).strip()), [parse(line) for line in text.splitlines()])


def test_json_after_a_prompt_line_can_be_read_back_and_the_line_stands() -> None:
    text = (GOLDEN / "json" / "connections.in").read_text()
    prompt, _, value = text.partition("\n")
    first, _, rest = shortened(text).partition("\n")
    assert first == prompt
    assert same(read(rest), parse(value))


def test_other_formats_can_be_read_back() -> None:
    table = (GOLDEN / "csv" / "sql-rows.in").read_text()
    assert same(as_text(read(shortened(table), untyped=True)), as_text(csv_values.parse(table)))
    pods = (GOLDEN / "yaml" / "pods.in").read_text()
    assert same(as_text(read(shortened(pods))), as_text(yaml_values.parse(pods)))
    report = (GOLDEN / "xml" / "junit.in").read_text()
    declaration, root, value = xml_values.parse(report)
    first, second = shortened(report).split("\n", 1)
    assert first == declaration
    assert same(as_text(read(second.removeprefix(f"<{root}>"), untyped=True)), as_text(value))


@pytest.mark.parametrize("name", ["box", "docker", "kubectl", "mysql", "psql"])
def test_tables_that_programs_draw_can_be_read_back(name: str) -> None:
    text = (GOLDEN / "table" / f"{name}.in").read_text()
    table = table_values.parse(text)
    written = shortened(text)
    assert written.endswith(table.foot)
    assert as_text(read(written.removesuffix(f"\n{table.foot}"), untyped=True)) == as_text(table.rows)
    assert [cell for row in table.rows for cell in row.values() if cell and str(cell) not in text] == []


@pytest.mark.parametrize(
    "text",
    [
        # Numbers stand at the right; a cell may reach into the next column.
        "FILESYSTEM     BLOCKS     USED\n/dev/sda1       61255492  81234\n/dev/sdb1         255492    812\na  1  2\n"
        * 2,
        "NAME   READY\nweb-1  1/1\nweb-long-name 1/1\nweb-2  1/1\nweb-3  1/1\n",
        " id | name\n----+------\n 1  | a\n 2  | b | c\n 3  | d\n 4  | e\n",
        "A heading of prose\n------------------\n\nAnd what it says.\nIn some lines,\nand in some more.\n",
        "+----+----+\n| id | id |\n+----+----+\n| 1  | 2  |\n| 1  | 3  |\n| 1  | 4  |\n+----+----+\n",
    ],
)
def test_what_is_no_plain_table_is_left_alone(text: str) -> None:
    assert compress(text, Context()) is None


def test_keys_of_yaml_may_stand_in_quotes_or_hold_brackets() -> None:
    text = """paths:
  /parcels/{id}:
    '200': {}
    "b c": 1
    "x\\"y": 'it''s'
"""
    assert yaml_values.parse(text) == {"paths": {"/parcels/{id}": {"'200'": {}, "b c": "1", 'x"y': "it's"}}}
    with pytest.raises(ValueError, match="stands twice"):
        yaml_values.parse("a: 1\n'a': 2\n")


def as_text(value: Any) -> Any:
    """Formats without types: a cell is a text, quoted or not."""
    if isinstance(value, dict):
        return {key: as_text(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_text(part) for part in value]
    return str(value)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({"id": st.integers(), "name": st.text(max_size=12), "tag": st.sampled_from("ab")}),
        min_size=2,
        max_size=8,
    ),
    st.sampled_from([None, 1, 4, "\t"]),
    st.booleans(),
)
def test_any_indentation_of_json_can_be_read_back(rows: list[Any], indent: Any, ascii_only: bool) -> None:
    text = json.dumps({"rows": rows, "count": len(rows)}, indent=indent, ensure_ascii=ascii_only)
    assert same(read(shortened(text)), parse(text))


def test_a_value_after_a_label_and_one_between_prose_are_found() -> None:
    value = json.dumps({"rows": ROWS[:3]})
    table = "{rows:[{id,name,price,stock:yes}\n0,item number 0,10\n1,item number 1,11\n2,item number 2,12]}"
    assert shortened(f"Result: {value}\n") == f"Result: {table}\n"
    assert shortened(f"Three rows:\n\n{value}\n\nThat is all.") == f"Three rows:\n\n{table}\n\nThat is all."
    assert shortened(f"```json\n{json.dumps({'rows': ROWS[:3]}, indent=2)}\n```\n") == f"```json\n{table}\n```\n"


def test_json_in_a_json_string_is_found() -> None:
    text = json.dumps(json.dumps({"rows": ROWS[:2]}))
    assert (
        shortened(text)
        == "json({rows:[{id:0,name:item number 0,price:10,stock:yes},{id:1,name:item number 1,price:11,stock:yes}]})"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just a line of prose that is long enough to be looked at",
        '{"a": 1, "a": 2, "padding": "a key that stands twice is left alone"}',
        '{"a": NaN, "padding": "what is no JSON is left alone by this"}',
        '{"a": 1, "padding": "an object that ends too early',
        'ROWS = [\n  {"id": 1, "name": "a list in source code"},\n  {"id": 2, "name": "stays as it is"}\n]\n',
        '[\n{"id": 1, "name": "and so does one without"},\n{"id": 2, "name": "indentation, whatever ends it"}\n];\n',
        "[2024-05-01 10:00:00] a log line\n[2024-05-01 10:00:01] and another one\n" * 3,
        "- a list\n- in Markdown: has colons\n- too: sometimes\n- but: no table\n" * 3,
        "one, two, three\nis prose, with commas, sometimes\n" * 4,
        "Write it so:\n\n```json\n" + json.dumps({"rows": ROWS[:3]}, indent=2) + "\n```\n",
        "<tool_use_error>One element that holds a text is as short as it gets.</tool_use_error>",
        "<html><body><p>Some <b>bold</b> text, which is no data</p></body></html>",
        "<a><b>1</b><c>2</c><b>an order that no object can say</b></a>",
        "<a>1</a><b>two roots make no document, whatever they hold</b>",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert compress(text, Context()) is None


def test_disabled_means_nothing_is_changed() -> None:
    assert SmartCrusher(SmartCrusherConfig(enabled=False)).compress(json.dumps(ROWS), Context()) is None


@pytest.mark.parametrize("text", ["[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, "[" * 50_000])
@pytest.mark.parametrize("context", [Context(), LOSSY])
def test_deep_nesting_is_left_alone(text: str, context: Context) -> None:
    assert compress(text, context) is None


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        " " * 1_000_000,
        "a:" + " " * 1_000_000 + "x",
        "the same line\n" * 70_000,
        "\n".join(f"[{i}] a line" for i in range(70_000)),
        "[\n" * 500_000,
        '{"a\n' * 250_000,
        "[1, 2],\n" * 120_000,
        "<a" + " " * 1_000_000,
        "<a>" * 300_000,
        "a: [\n" * 200_000,
        json.dumps({"a": '"\\' * 200_000}),
    ],
    ids=range(12),
)
def test_hostile_text_takes_no_time(text: str) -> None:
    start = time.thread_time()
    compress(text, Context())
    assert time.thread_time() - start < 10


def test_time_grows_with_the_text_and_not_with_its_square() -> None:
    def seconds(rows: int) -> float:
        text = json.dumps([{"id": i, f"key{i}": {"a": i}, "tags": ["x", str(i)]} for i in range(rows)])
        took = []
        for _ in range(3):
            start = time.thread_time()
            compress(text, Context())
            took.append(time.thread_time() - start)
        return min(took)

    assert seconds(16_000) < 32 * seconds(2_000)  # 64 times where it grew with the square


def test_long_arrays_are_cut_only_where_something_may_be_left_out() -> None:
    text = json.dumps({"rows": ROWS, "total": 40})
    whole = compress(text, Context())
    assert whole is not None
    assert (whole.lossless, whole.left_out) == (True, 0)
    assert whole == SmartCrusher(SmartCrusherConfig(lossless_only=True)).compress(text, LOSSY)
    cut = compress(text, LOSSY)
    assert cut is not None
    assert (cut.lossless, cut.strategy) == (False, "smart_crusher")
    lines = cut.text.split("\n")
    assert lines[0] == "{rows:[{id,name,price,stock:yes}"
    kept = len(lines) - 4
    assert lines[-3] == f"[40 items compressed to {kept}]"
    assert lines[-2].startswith("(left out: id min ")
    assert lines[-1] == "],total:40}"
    assert cut.left_out == 40 - kept
    assert 6 <= kept <= 15


def test_short_texts_and_short_arrays_stay_whole() -> None:
    tokens = count(json.dumps(ROWS))
    patient = SmartCrusher(SmartCrusherConfig(min_tokens_to_crush=tokens + 1)).compress(json.dumps(ROWS), LOSSY)
    assert patient is not None
    assert patient.lossless
    few = compress(json.dumps(ROWS[:15]), LOSSY)
    assert few is not None
    assert few.lossless


def test_json_lines_are_cut_like_an_array() -> None:
    cut = compress("\n".join(map(json.dumps, ROWS)) + "\n", LOSSY)
    assert cut is not None
    assert cut.text.startswith("{id,name,price,stock:yes}\n0,item number 0,10\n")
    assert f"\n[40 items compressed to {40 - cut.left_out}]\n(left out: " in cut.text


def test_arrays_in_like_objects_are_cut_and_keep_their_lines() -> None:
    text = json.dumps({"a": {"rows": ROWS}, "b": {"rows": ROWS}})
    cut = compress(text, LOSSY)
    assert cut is not None
    assert sum(line.startswith("[40 items compressed to ") for line in cut.text.split("\n")) == 2


def test_a_scorer_of_the_callers_own_chooses() -> None:
    last = SmartCrusher(scorer=lambda query, texts: [float("number 33" in text) for text in texts])
    cut = last.compress(json.dumps(ROWS), Context(lossless=False, query="anything"))
    assert cut is not None
    assert "\n33,item number 33," in cut.text
