import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.transforms import notation
from headroom.transforms.json_values import MAX_DEPTH, Plain, parse
from headroom.transforms.notation import Crushed, TooDeepError, quoted, write, write_lines
from tests.support.notation import read, read_lines, same

ODD_STRINGS = [
    *("", " ", "true", "null", "None", "12", "-1.5e3", "1.2.3", "007", "2024-05-01", "06:00", "a b", " a", "a ", "a,b"),
    *("{", "}", "[]", "x:y", "<key>", "<b>", "json(", "json({})", "-", "a?", "#", "C:\\x", 'say "hi"', "a\nb", "\t"),
    *("caf\u00e9", "\u00a0", "\u200b", "\u2028", "\ud800", "\u3000x", "\U0001f600", '{"a": 1, "b": [1, 2, {}]}'),
    *('["not JSON that anyone', "[1 items compressed to 1]"),
]
ODD_KEYS = ["id", "name", "key", "a b", "a:b", "", "?", "a?", "<key>", "x,y", 'q"', "\u00e9", "1", "true", " ", "a\n"]
keys = st.one_of(st.sampled_from(ODD_KEYS), st.text(max_size=4))
strings = st.one_of(st.sampled_from(ODD_STRINGS), st.text(max_size=8))
scalars = st.one_of(strings, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none())


@st.composite
def like_objects(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> Any:
    """Rows that share keys and values, as an array or under keys; some keys are absent from some rows."""
    names = draw(st.lists(keys, min_size=1, max_size=5, unique=True))
    pools = [[draw(values), draw(values)] for _ in names]
    rows = [
        {name: draw(st.sampled_from(pool)) for name, pool in zip(names, pools, strict=True) if draw(st.integers(0, 9))}
        for _ in range(draw(st.integers(2, 5)))
    ]
    if draw(st.booleans()):
        return rows
    return {row["id"] if isinstance(row.get("id"), str) else str(i): row for i, row in enumerate(rows)}


values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4), like_objects(inner)),
    max_leaves=30,
)


@settings(max_examples=400, deadline=None)
@given(values)
def test_every_value_can_be_read_back(value: Any) -> None:
    original = parse(json.dumps(value))
    text, _ = write(original)
    assert same(read(text), original), text


@settings(max_examples=300, deadline=None)
@given(like_objects(like_objects(scalars) | scalars))
def test_repeated_objects_can_be_read_back(value: Any) -> None:
    original = parse(json.dumps(value))
    with pytest.MonkeyPatch.context() as patch:  # so that short objects are worth repeating
        patch.setattr(notation, "_MIN_REPEAT", 0)
        patch.setattr(notation, "_MIN_REPEATS", 1)
        text, _ = write(original)
    assert same(read(text), original), text


@settings(max_examples=200, deadline=None)
@given(like_objects(scalars).filter(lambda rows: isinstance(rows, list)))
def test_lines_of_objects_can_be_read_back(rows: list[Any]) -> None:
    original = parse(json.dumps(rows))
    text, _ = write_lines(original)
    assert same(read_lines(text), original), text


@settings(max_examples=200, deadline=None)
@given(values)
def test_every_string_and_key_stands_in_the_text(value: Any) -> None:
    text, _ = write(parse(json.dumps(value)))

    def check(part: Any) -> None:
        if isinstance(part, str) and not part.startswith(("{", "[")):
            assert part in text or quoted(part) in text
        elif isinstance(part, dict):
            for key, inner in part.items():
                assert key in text or quoted(key) in text
                check(inner)
        elif isinstance(part, list):
            for inner in part:
                check(inner)

    check(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('{"a": "x y", "b": [1, 2.50, -0, 1e5, true, null]}', "{a:x y,b:[1,2.50,-0,1e5,true,null]}"),
        ('{"zip": "78750", "v": "1.2.3", "t": "06:00", "n": "null"}', '{zip:"78750",v:1.2.3,t:06:00,n:"null"}'),
        ('[{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]', "[{a,b:x}\n1\n2]"),
        ('[{"a": 1, "c": 3}, {"a": 2, "b": 5, "c": 4}]', "[{a,b?,c}\n1,,3\n2,5,4]"),
        ('[{"left": 1, "right": 3}, {"left": 2}, {"right": 3}]', "[{left?,right?}\n1,3\n2,\n,3]"),
        ('[{"a": {"x": 1, "y": 2}}, {"a": {"x": 3, "y": 2}}]', "[{a:{x,y:2}}\n{1}\n{3}]"),
        ('[{"a": [{"x": 1}, {"x": 2}]}, {"a": []}]', "[{a:[{x}]}\n[{1},{2}]\n[]]"),
        ('[[{"x": 1}, {"x": 2}], [{"x": 3}]]', "[[{x}]\n[{1},{2}]\n[{3}]]"),
        ('{"u1": {"n": 1, "id": "u1"}, "u2": {"n": 2, "id": "u2"}}', "{<key>:{n,id:<key>}\nu1:1\nu2:2}"),
        (
            '[{"by": "ada lovelace", "for": "ada lovelace"}, {"by": "grace", "for": "grace"}]',
            "[{by,for:<by>}\nada lovelace\ngrace]",
        ),
        ('{"body": "{\\"items\\": [1, 2, 3], \\"total\\": 3}"}', "{body:json({items:[1,2,3],total:3})}"),
        ('{"\\u00e9": "\\u4f60\\u597d", "/": "a\\/b", "hidden": "\\u200b"}', '{é:你好,/:a/b,hidden:"\\u200b"}'),
        ("[{}, {}]", "[{},{}]"),
    ],
)
def test_values_are_written_short(value: str, text: str) -> None:
    assert write(parse(value))[0] == text


def test_objects_without_like_keys_are_written_one_by_one() -> None:
    assert write(parse('[{"a": 1}, {"b": 2}]'))[0] == "[{a:1},{b:2}]"
    assert write(parse('[{"a": 1, "b": 2}, {"b": 2, "a": 1}]'))[0] == "[{a:1,b:2},{b:2,a:1}]"


def test_a_repeated_object_is_its_first_value() -> None:
    user = {"login": "ada", "url": "https://example.org/users/ada", "avatar": "https://example.org/avatars/1"}
    other = {"login": "bob", "url": "https://example.org/users/bob", "avatar": "https://example.org/avatars/2"}
    issues = [{"number": n, "user": user if n % 3 else other} for n in range(9)]
    text, rows = write(parse(json.dumps(issues)))
    assert rows == 9
    assert text.startswith(notation.REPEATS + "[{number,user:{login,url,avatar}}\n0,{bob,https://")
    assert text.endswith("\n5,{ada}\n6,{bob}\n7,{ada}\n8,{ada}]")
    assert text.count("https://example.org/users/ada") == 1


def test_a_value_that_changed_since_is_written_whole_again() -> None:
    queued, done = "queued " * 9 + "on b", "done " * 12 + "on b"
    states = [("a", queued), ("a", done), ("a", done), ("b", done), ("a", queued), ("a", queued), ("b", done)] * 3
    text, _ = write(parse(json.dumps([{"id": i, "state": s} for i, s in states])))
    lines = text.removeprefix(notation.REPEATS).removesuffix("]").split("\n")[1:]
    assert lines[:7] == [f"a,{queued}", f"a,{done}", "a", f"b,{done}", f"a,{queued}", "a", "b"]
    assert lines[7] == "a"


def test_nesting_beyond_the_limit_is_refused() -> None:
    value: Any = Plain("1")
    for _ in range(MAX_DEPTH):
        value = [value]
    assert write(value)[0] == "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH
    with pytest.raises(TooDeepError):
        write([value])


def test_what_was_left_out_of_an_array_stands_on_lines_of_its_own() -> None:
    rows = [{"a": Plain(str(i)), "b": "x"} for i in range(3)]
    assert write({"rows": Crushed(rows, 9, "left out: a min 3 max 8 mean 5.5")})[0] == (
        "{rows:[{a,b:x}\n0\n1\n2\n[9 items compressed to 3]\n(left out: a min 3 max 8 mean 5.5)\n]}"
    )
    assert write([{"rows": Crushed(rows[:1], 9, "")}, {"rows": []}])[0] == (
        "[{rows:[{a:0,b:x}\n[9 items compressed to 1]\n]},{rows:[]}]"
    )
    assert write_lines(Crushed(rows, 4, ""))[0] == "{a,b:x}\n0\n1\n2\n[4 items compressed to 3]"
