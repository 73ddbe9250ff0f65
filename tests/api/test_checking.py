"""Values against schemas."""

import pytest

from headroom.api.checking import wrong

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "hash": {"type": "string", "pattern": "^[0-9a-f]{4}$"},
        "number": {"type": ["integer", "null"], "minimum": 1},
        "mode": {"enum": ["fast", "slow"]},
        "items": {"type": "array", "items": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
    },
}


@pytest.mark.parametrize(
    "value",
    [
        {"name": "a"},
        {"name": "a", "hash": "00ff", "number": 3, "mode": "fast", "items": [{"on": True}, {}], "more": object()},
        {"name": "a", "number": None},
        {"name": "a", "number": 3.0},
    ],
)
def test_what_is_as_the_schema_says(value: object) -> None:
    assert wrong(SCHEMA, value) is None


@pytest.mark.parametrize(
    ("value", "place", "said"),
    [
        ([], "", "is array; expected object"),
        ({}, "name", "is missing"),
        ({"name": ""}, "name", "is empty"),
        ({"name": 1}, "name", "is integer; expected string"),
        ({"name": "a", "hash": "00fg"}, "hash", "is not as it has to be: ^[0-9a-f]{4}$"),
        ({"name": "a", "number": True}, "number", "is boolean; expected integer | null"),
        ({"name": "a", "number": 1.5}, "number", "is number; expected integer | null"),
        ({"name": "a", "number": 0}, "number", "is 0; expected at least 1"),
        ({"name": "a", "mode": "FAST"}, "mode", "is 'FAST'; expected fast | slow"),
        ({"name": "a", "mode": ["fast"]}, "mode", "is \"['fast']\"; expected fast | slow"),
        ({"name": "a", "items": [{}, {"on": 0}]}, "items[1].on", "is integer; expected boolean"),
    ],
)
def test_what_is_not_is_told_with_its_place(value: object, place: str, said: str) -> None:
    assert wrong(SCHEMA, value) == (place, said)
