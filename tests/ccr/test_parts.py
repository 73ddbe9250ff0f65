"""What of a text matches a query: one rule, whoever asks."""

import json

import pytest

from headroom.ccr.deferred import NO_MATCH, about
from headroom.ccr.parts import best, items, matching

ORDERS = [{"order": 5000 + i, "state": "refused" if i in (7, 30) else "paid", "n": 1.50} for i in range(60)]
LOG = "\n".join(f"line {n}: {'getUserName refused' if n == 77 else 'ok'}" for n in range(200))


@pytest.mark.parametrize("indent", [None, 2])
def test_the_parts_of_an_array_are_its_items_as_they_are_written(indent: int | None) -> None:
    text = json.dumps(ORDERS, indent=indent).replace("1.5", "1.50")
    assert [json.loads(item) for item in items(text)] == ORDERS
    assert all(item in text and "1.50" in item for item in items(text))
    found = matching(text, "which were refused?")
    assert [(part.first, json.loads(part.text)) for part in found] == [(8, ORDERS[7]), (31, ORDERS[30])]
    said = about(text, "refused").split("\n")
    assert said[0].startswith("[2 of 60 items, the parts that match best first.")
    assert [line for line in said if line.startswith("[item")] == ["[item 8]", "[item 31]"]


@pytest.mark.parametrize(
    "text", ["", "[", "[1, 2", "[1, 2] and more", "[1 2]", "[1,]", '{"a": [1]}', "[ERROR] no", "[]"]
)
def test_what_is_no_array_has_no_items(text: str) -> None:
    assert items(text) == []


def test_what_is_nested_too_deeply_has_no_items() -> None:
    assert items("[" * 100_000) == []


def test_the_parts_of_other_texts_are_some_lines_with_their_numbers() -> None:
    (part,) = matching(LOG, "refused")
    assert part.first <= 78 <= part.last and part.text == "\n".join(LOG.split("\n")[part.first - 1 : part.last])
    assert f"[lines {part.first}-{part.last}]" in about(LOG, "refused")


@pytest.mark.parametrize("query", ["getUserName", "getusername", "user", "user_name", "GETUSERNAME()"])
def test_an_identifier_is_found_whole_and_by_its_words(query: str) -> None:
    (part,) = matching(LOG, query)
    assert "getUserName" in part.text


def test_a_word_that_all_have_finds_nothing_beside_one_that_few_have() -> None:
    documents = ["line one", "line two", "line three"]
    assert best(documents, "line two") == [1]
    assert best(documents, "line") == [0, 1, 2]
    assert best(documents, "four") == best(documents, "?") == best([], "line") == []


def test_a_number_of_one_digit_is_a_word() -> None:
    assert best(["order 6", "order 7", "order 77"], "7") == [1]


def test_where_nothing_matches_the_whole_is_told() -> None:
    assert about(LOG, "invoice") == f"{NO_MATCH}\n{LOG}"
