"""The task that agents are given: a small project, and the steps by which the scripted model does it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.answers import Answer
from tests.support.standin import Script

Json = dict[str, Any]
PROMPT = (
    "The price of number 42 is wrong by one and that of 17 too. Fix both in prices.py and run checks.py after each."
)
DONE = "Both prices are right now, and the checks say so: amber-heron-7731."
OLD = "    return amount * 42\n"
NEW = "    return amount * 42 + 1\n"
OLD_TOO = "    return amount * 17\n"
NEW_TOO = "    return amount * 17 - 1\n"

_PRICE = '''\
def price_{number}(amount: int) -> int:
    """Price of number {number}."""
    return amount * {number}
'''
_CHECKS = '''\
"""Checks every price, and says at length what it did."""

import prices

for number in range(80):
    price = getattr(prices, f"price_{number}")(10)
    wanted = number * 10 + {42: 1, 17: -1}.get(number, 0)
    if price == wanted:
        print(f"checks.py::price_{number} ... ok")
        continue
    print(f"checks.py::price_{number} ... FAILED")
    for step in range(40):
        print(f"    step {step} of the calculation: amount=10 rounding=half-even currency=EUR")
    print(f"    wanted {wanted}, got {price}")
'''


class Project:
    """A folder with prices.py, a module of 320 lines, and checks.py, whose output is long."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.prices = folder / "prices.py"
        prices = (_PRICE.format(number=number) for number in range(80))
        self.before = '"""What things cost."""\n\n' + "\n".join(prices)
        self.prices.write_text(self.before)
        (folder / "checks.py").write_text(_CHECKS)

    @property
    def is_done(self) -> bool:
        """The two edits were made, and nothing else changed."""
        return self.prices.read_text() == self.before.replace(OLD, NEW).replace(OLD_TOO, NEW_TOO)


def play(steps: Sequence[Answer]) -> Script:
    """The model that takes ``steps`` one by one, each when the tool results of those before it are there, then ends.

    A request without tools is one of the client's side requests (a title, a verdict): it gets what its schema asks for.
    """

    def answer(shape: str, body: Json) -> Answer:
        if not has_tools(body):
            return aside(body)
        left = _results(body)
        for step in steps:
            if left < len(step.calls):
                return step
            left -= len(step.calls)
        return Answer(DONE)

    return answer


def aside(body: Json) -> Answer:
    """What a side request of a client gets: an example of its schema."""
    return Answer(_example(_schema(body)))


def has_tools(body: Json) -> bool:
    return bool(body.get("tools")) or any(item.get("type") == "additional_tools" for item in body.get("input", ()))


def _results(body: Json) -> int:
    """How many tool results a request brings, in whatever shape."""
    chat = [message for message in body.get("messages", ()) if message["role"] == "tool"]
    blocks = [
        part
        for turn in (*body.get("messages", ()), *body.get("contents", ()))
        for part in (turn.get("parts") or turn.get("content") or ())
        if isinstance(part, dict)
    ]
    items = [item for item in body.get("input", ()) if str(item.get("type")).endswith("call_output")]
    found = [part for part in blocks if part.get("type") == "tool_result" or "functionResponse" in part]
    return len(chat) + len(items) + len(found)


def _schema(body: Json) -> Json:
    wanted = body.get("output_config", {}).get("format", {}).get("schema")
    return dict(wanted or body.get("generationConfig", {}).get("responseJsonSchema") or {})


def _example(schema: Json) -> str:
    kinds = {"integer": 50, "number": 0.5, "boolean": True}
    fields = schema.get("properties", {}).items()
    return json.dumps({name: kinds.get(str(kind.get("type")).lower(), "Fixing prices") for name, kind in fields})
