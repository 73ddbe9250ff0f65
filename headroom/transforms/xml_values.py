"""Reading XML that holds data: elements of elements, text at the leaves."""

import re
from typing import Any

from headroom.transforms.json_values import MAX_DEPTH
from headroom.transforms.notation import untyped

_NAME = r"[A-Za-z_][\w.:-]*"
_TOKEN = re.compile(rf"<({_NAME})((?:\s++{_NAME}=(?:\"[^\"<]*\"|'[^'<]*'))*)\s*+(/?)>|</({_NAME})\s*+>|([^<]++)", re.A)
_ATTRIBUTE = re.compile(rf"({_NAME})=(?:\"([^\"<]*)\"|'([^'<]*)')")
_DECLARATION = re.compile(r"\s*+(?:(<\?xml [^<>]*\?>)\s*+)?")
TEXT = "#text"
"""The key for the text of an element that has attributes too; attributes are ``@name``."""


def parse(text: str) -> tuple[str, str, Any]:
    """(declaration, name of the root, value) of a text that is one XML element; raises ValueError where it is not, or
    where a value could not say all of it: comments, text between elements, an order of unlike neighbours.

    Entities stay as they are written. Repeated neighbours become a list.
    """
    declared = _DECLARATION.match(text)
    position = declared.end() if declared else len(text)
    open_elements: list[tuple[str, list[tuple[str, Any]], list[str]]] = []
    top: list[tuple[str, Any]] = []
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError("not an element or text")
        position = token.end()
        name, attributes, empty, closing, words = token.groups()
        if words is not None:
            if open_elements:
                open_elements[-1][2].append(words)
            elif words.strip():
                raise ValueError("text outside an element")
            continue
        if name is not None:
            if not open_elements and top:
                raise ValueError("two roots")
            if len(open_elements) >= MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
            open_elements.append((name, [("@" + k, untyped(v or w)) for k, v, w in _ATTRIBUTE.findall(attributes)], []))
        elif not open_elements or open_elements[-1][0] != closing:
            raise ValueError("an end without a beginning")
        if name is None or empty:
            done, children, texts = open_elements.pop()
            (open_elements[-1][1] if open_elements else top).append((done, _value(children, "".join(texts))))
    if open_elements or not top:
        raise ValueError("an element without an end")
    return (declared[1] or "") if declared else "", *top[0]


def _value(children: list[tuple[str, Any]], text: str) -> Any:
    if not children:
        return untyped(text) if text else ""
    value: dict[str, Any] = {}
    latest = ""
    for name, child in children:
        if name not in value:
            value[name] = child
        elif name != latest or name.startswith("@"):
            raise ValueError("an order that an object cannot say")
        elif type(value[name]) is list:
            value[name].append(child)
        else:
            value[name] = [value[name], child]
        latest = name
    if text.strip():
        if not latest.startswith("@"):
            raise ValueError("text between elements")
        value[TEXT] = untyped(text)
    return value
