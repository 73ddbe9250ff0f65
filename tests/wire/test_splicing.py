"""Splicing is the only way a body changes: what lies outside a patch stays byte for byte as it came."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.wire.layout import Layout
from headroom.wire.shapes import SHAPES, read
from headroom.wire.spans import Patch, ScanError, common_prefix, quote, read_string, splice

type Json = dict[str, Any]

TEXT = st.text(max_size=60) | st.sampled_from(['"', "\\", '\\"', "\\\\", "\u2028", "é", "𝄞", "\x00\t\n", "}]", "null"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
EXTRA = st.dictionaries(st.sampled_from(["x_new", "cache_control", "status", "caller"]), JSON, max_size=2)
SPACING = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r ")])


@st.composite
def anthropic_bodies(draw: st.DrawFn) -> Json:
    part = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
    result = st.fixed_dictionaries(
        {"tool_use_id": TEXT, "type": st.just("tool_result"), "content": TEXT | st.lists(part, max_size=3)}
    )
    use = st.fixed_dictionaries({"type": st.just("tool_use"), "id": TEXT, "name": TEXT, "input": JSON})
    thinking = st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXT, "signature": TEXT})
    block = st.one_of(part, result, use, thinking, JSON.filter(lambda value: not isinstance(value, dict)))
    blocks = st.lists(
        st.tuples(block, EXTRA).map(lambda p: p[0] | p[1] if isinstance(p[0], dict) else p[0]), max_size=4
    )
    turn = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXT | blocks})
    return {"model": draw(TEXT), "messages": draw(st.lists(turn, max_size=5)), "tools": draw(JSON), **draw(EXTRA)}


def patches_for(layout: Layout) -> tuple[list[Patch], list[str]]:
    results = [block for block in layout.blocks if block.kind == "result" and layout.text(block) is not None]
    return [Patch(*block.span, quote(f"replaced {i}")) for i, block in enumerate(results)], [
        text for block in results if (text := layout.text(block)) is not None
    ]


@given(anthropic_bodies(), SPACING, st.booleans(), st.booleans())
def test_a_patched_body_is_the_original_with_just_those_strings_changed(
    body: Json, spacing: tuple[str, str], ascii_only: bool, bom: bool
) -> None:
    raw = json.dumps(body, ensure_ascii=ascii_only, separators=spacing).encode("utf-8", "surrogatepass")
    raw = b"\xef\xbb\xbf" + raw if bom else raw
    layout = read("anthropic", raw)
    assert splice(raw, []) is raw
    patches, _ = patches_for(layout)
    patched = splice(raw, patches)
    expected, number = json.loads(raw), 0
    for message in expected["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if isinstance(block, dict) and block.get("type") == "tool_result":
                if isinstance(block["content"], str):
                    block["content"], number = f"replaced {number}", number + 1
                else:
                    for part in block["content"]:
                        part["text"], number = f"replaced {number}", number + 1
    assert json.loads(patched) == expected
    position, shift = 0, 0
    for start, end, replacement in patches:
        assert patched[position + shift : start + shift] == raw[position:start]
        shift += len(replacement) - (end - start)
        position = end
    assert patched[position + shift :] == raw[position:]


@given(st.binary(max_size=200), st.sampled_from(sorted(SHAPES)))
def test_any_bytes_are_read_or_refused_with_a_place(raw: bytes, shape: str) -> None:
    try:
        layout = read(shape, raw)
    except ScanError as error:
        assert isinstance(error.details["at"], int)
    else:
        assert all(0 <= block.span.start < block.span.end <= len(raw) for block in layout.blocks)


@given(anthropic_bodies(), st.data())
@settings(max_examples=60)
def test_a_truncated_body_is_refused(body: Json, data: st.DataObject) -> None:
    raw = json.dumps(body).encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(ScanError):
        read("anthropic", raw[:cut])


@given(st.lists(anthropic_bodies(), min_size=2, max_size=2), SPACING)
def test_taking_over_turns_from_an_earlier_body_changes_nothing(bodies: list[Json], spacing: tuple[str, str]) -> None:
    earlier, later = bodies
    later["messages"] = earlier["messages"] + later["messages"]
    first = json.dumps(earlier, separators=spacing).encode()
    second = json.dumps(later, separators=spacing).encode()
    before = read("anthropic", first)
    resumed, fresh = read("anthropic", second, lambda _: before), read("anthropic", second)
    assert (resumed.turns, resumed.blocks, resumed.fields) == (fresh.turns, fresh.blocks, fresh.fields)
    assert (resumed.cacheable, resumed.opening) == (fresh.cacheable, fresh.opening)
    assert {key: resumed.calls[key] for key in fresh.calls} == fresh.calls


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=3), st.binary(max_size=3))
def test_the_common_prefix_is_the_longest(shared: bytes, rest: bytes, a: bytes, b: bytes) -> None:
    left, right = shared + a + rest, b"xy" + shared + b + rest
    same = common_prefix(left, 0, right, 2)
    assert left[:same] == right[2 : 2 + same]
    assert left[same : same + 1] != right[2 + same : 3 + same] or same in (len(left), len(right) - 2)


def test_signed_thinking_and_odd_numbers_leave_as_they_came() -> None:
    raw = (
        b'{"max_tokens":1e3,"temperature":1.0,"big":123456789012345678901234567890,"messages":[{"role":"user",'
        b'"content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"a\\u00e9\\/b","signature":"Ep=="},'
        b'{"type":"redacted_thinking","data":"x"},{"type":"tool_use","id":"t1","name":"Read","input":{"n":1.50}}]},'
        b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"long"}]}]}'
    )
    layout = read("anthropic", raw)
    patches, texts = patches_for(layout)
    assert texts == ["long"]
    assert splice(raw, patches) == raw.replace(b'"long"', b'"replaced 0"')


def test_a_key_that_stands_twice_is_refused_where_it_would_matter() -> None:
    with pytest.raises(ScanError, match="only once"):
        read("anthropic", b'{"messages":[],"messages":[]}')
    with pytest.raises(ScanError, match="only once"):
        read("anthropic", b'{"messages":[{"role":"user","content":"a","content":"b"}]}')


def test_strings_that_utf8_cannot_carry_are_left_alone() -> None:
    raw = (
        b'{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"\\ud800 lone"},'
        b'{"type":"tool_result","tool_use_id":"b","content":"\xff\xfe"},'
        b'{"type":"tool_result","tool_use_id":"c","content":"\\ud834\\udd1e"}]}]}'
    )
    layout = read("anthropic", raw)
    assert [layout.text(block) for block in layout.blocks] == [None, None, "𝄞"]


def test_overlapping_patches_are_an_error() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        splice(b"0123456789", [Patch(0, 5, b""), Patch(4, 6, b"")])
    with pytest.raises(ValueError, match="leaves the body"):
        splice(b"0123456789", [Patch(5, 11, b"")])


@pytest.mark.parametrize(
    "text", ["\\" * 20_000_000, '"' * 5_000_000, "a\n" * 10_000_000], ids=["backslashes", "quotes", "lines"]
)
def test_twenty_megabytes_are_read_in_linear_time(text: str) -> None:
    raw = (
        b'{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":'
        + quote(text)
        + b"}]}]}"
    )
    began = time.monotonic()
    layout = read("anthropic", raw)
    assert time.monotonic() - began < 60
    assert read_string(raw, layout.blocks[0].span) == text


def test_deep_nesting_is_refused_and_does_not_crash() -> None:
    for raw in (b'{"messages":' + b"[" * 100_000, b'{"a":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001):
        with pytest.raises(ScanError):
            read("anthropic", raw)
