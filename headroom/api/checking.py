"""A request's body: read as JSON, and held against the schema that the OpenAPI document states for it."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

type Json = dict[str, Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def parse(text: str | bytes) -> Any:
    """The value of a JSON text, whole numbers of any size and lone surrogates included. Raises ValueError for what is
    no JSON: also for NaN, numbers beyond a double, and what is nested too deeply."""
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def wrong(schema: Mapping[str, Any], value: object, place: str = "") -> tuple[str, str] | None:
    """Where a value is not as its schema says, and what is wrong there; None where all is right.

    Knows the words of JSON Schema that the document uses: type, required, properties, items, enum, minLength, minimum
    and pattern.
    """
    types = schema.get("type")
    if types is not None and not _is(value, [types] if isinstance(types, str) else types):
        return place, f"is {_kind(value)}; expected {types if isinstance(types, str) else ' | '.join(types)}"
    if "enum" in schema and value not in schema["enum"]:
        return place, f"is {str(value)[:50]!r}; expected {' | '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            return place, "is empty"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return place, f"is not as it has to be: {schema['pattern']}"
    elif isinstance(value, dict):
        missing = next((name for name in schema.get("required", ()) if name not in value), None)
        if missing is not None:
            return _below(place, missing), "is missing"
        for name, inner in schema.get("properties", {}).items():
            found = wrong(inner, value[name], _below(place, name)) if name in value else None
            if found is not None:
                return found
    elif isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            found = wrong(schema["items"], item, f"{place}[{number}]")
            if found is not None:
                return found
    elif isinstance(value, int | float) and not isinstance(value, bool) and value < schema.get("minimum", value):
        return place, f"is {value}; expected at least {schema['minimum']}"
    return None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number of JSON")
    return number


def _is(value: object, types: list[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in types
    if isinstance(value, float) and value.is_integer() and "integer" in types:  # 3.0 is a whole number in JSON Schema
        return True
    return any(isinstance(value, _TYPES[name]) for name in types)


def _kind(value: object) -> str:
    return next(name for name, kinds in _TYPES.items() if isinstance(value, kinds) and _is(value, [name]))


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
