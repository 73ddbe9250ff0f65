"""Sessions of the real clients in which something is left out and asked for again: what they run, what the model does.

The clients know nothing of our tool: each tells the model that there is none, and asks again.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.ccr.tool import definition
from headroom.ccr.ways import TOOL
from tests.e2e import checks
from tests.e2e.task import Project, aside, has_tools
from tests.e2e.test_claude_code import claude
from tests.e2e.test_codex import codex
from tests.e2e.test_gemini_cli import gemini
from tests.e2e.world import Exchange, World
from tests.support.answers import Answer, ToolCall
from tests.support.standin import Script

Json = dict[str, Any]
OPTIONS = (
    "headroom_retrieval=tool",
    "headroom_profile=balanced",
    "headroom_tool_profiles=Bash=normal,exec=normal,run_shell_command=normal",
)
ORDERS = """\
import json

print(json.dumps([{"order": 5000 + n, "customer": f"customer {n * 7}", "cents": n * 130} for n in range(160)]))
"""
STOCK = """\
import json

print(json.dumps([{"part": f"P-{n * 31:05}", "shelf": n % 40, "pieces": n * 3, "price": n * 17} for n in range(180)]))
"""
TALLY = "print(1 + 1)\n"
ORDER = '"order": 5077, "customer": "customer 539", "cents": 10010'
"""Of what orders.py prints, in the middle of what is left out."""
PART = '"part": "P-02666", "shelf": 6, "pieces": 258, "price": 1462'
"""As ``ORDER``, for stock.py."""
PROMPT = "What does order 5077 cost, and which part goes with it? orders.py prints all orders, stock.py all parts."
DONE = "10010 cents."
MARKER = re.compile(r"Retrieve more: hash=([0-9a-f]{24})")
type Step = Callable[[Sequence[str]], Answer]
"""What the model does next, given the hashes that markers named so far, in their order."""


@dataclass(frozen=True, slots=True)
class Client:
    """``ask`` runs the client with a prompt and gives back what it prints; ``shell`` is the model's call with which it
    runs a command; ``on`` makes of a prompt the arguments with which the session goes on."""

    name: str
    ask: Callable[..., str]
    shell: Callable[[str], ToolCall]
    on: Callable[[str], Sequence[str]]

    def run(self, program: str) -> ToolCall:
        """The model's call with which it runs one of the project's programs."""
        return self.shell(f"python3 {program}.py")

    def __str__(self) -> str:
        return self.name


def _tool(name: str) -> Callable[[str], ToolCall]:
    return lambda command: ToolCall(name, {"command": command, "description": "Run it"})


def _in_javascript(command: str) -> ToolCall:
    script = f"text((await tools.exec_command({{cmd: {json.dumps(command)}}})).output);\n"
    return ToolCall("exec", script, namespace="functions")


CLAUDE = Client("claude-code", claude, _tool("Bash"), lambda prompt: (prompt, "--continue"))
CODEX = Client("codex", codex, _in_javascript, lambda prompt: ("resume", "--last", prompt))
GEMINI = Client("gemini-cli", gemini, _tool("run_shell_command"), lambda prompt: (prompt, "--resume", "latest"))
CLIENTS = (CLAUDE, CODEX, GEMINI)


def project_with_programs(folder: Path) -> Project:
    project = Project(folder)
    for name, program in (("orders", ORDERS), ("stock", STOCK), ("tally", TALLY)):
        (project.folder / f"{name}.py").write_text(program)
    return project


def retrieve(hash: str) -> ToolCall:
    return ToolCall(TOOL, {"hash": hash})


def takes(*steps: Step) -> Callable[[Json], Answer]:
    """The model that takes ``steps`` one by one, each when the results of the calls before it are there."""

    def answer(body: Json) -> Answer:
        found = dict(checks.results(body))
        named = list(dict.fromkeys(MARKER.findall(json.dumps(list(found.values())))))
        left = len(found)
        for step in steps:
            made = step([*named, *[""] * len(steps)])
            if not made.calls or left < len(made.calls):
                return made
            left -= len(made.calls)
        return Answer(DONE)

    return answer


def model(*steps: Step) -> Script:
    """As ``takes``; a request without tools, one of the client's side requests, gets what its schema asks for."""
    answer = takes(*steps)
    return lambda shape, body: answer(body) if has_tools(body) else aside(body)


def conversation(world: World) -> list[Exchange]:
    """The requests in which the model may call tools."""
    return [one for one in world.exchanges() if has_tools(one.sent.json)]


@contextmanager
def over_websockets(world: World) -> Iterator[None]:
    """Codex is let onto them for so long."""
    world.provider.websocket = True
    try:
        yield
    finally:
        world.provider.websocket = False


def asked(world: World) -> list[Exchange]:
    """What the model was asked for over WebSockets, without what only prepares a connection."""
    exchanges = [one for one in world.exchanges() if one.sent.json.get("generate") is not False]
    assert all(one.received.websocket for one in exchanges)
    return exchanges


def given(*bodies: Json) -> list[list[str]]:
    """The texts of the tool results in requests, in the order of their calls. Of several bodies: what they bring
    together, as the requests of a WebSocket do."""
    found = {call: result for body in bodies for call, result in checks.results(body)}
    return [list(_texts(result.get("response", result))) for result in found.values()]


def our_tool_stays(exchanges: Sequence[Exchange]) -> None:
    """It is in each request that lists tools, once, in the same bytes, and the client put it into none."""
    for one in exchanges:
        tool = definition(one.received.shape or "").encode()
        assert one.received.body.count(tool) == 1 and tool not in one.sent.body


def came_back(exchanges: Sequence[Exchange], asked: int, printed: int) -> None:
    """In place of the result number ``asked`` stands the original of what was printed as number ``printed``."""
    sent = given(*(one.sent.json for one in exchanges))
    received = given(*(one.received.json for one in exchanges))
    (back,) = received[asked]
    assert back in sent[printed] and back not in received[printed]
    assert MARKER.search("".join(received[printed])) and not MARKER.search(back)


def printed_again(exchanges: Sequence[Exchange]) -> None:
    """Of the two results in the last request the first lacks the order, and the second has it as the client sent it."""
    first, second = given(exchanges[-1].received.json)
    assert ORDER not in "".join(first) and ORDER in "".join(second)
    assert second == given(exchanges[-1].sent.json)[1]


def passed_untouched(exchanges: Sequence[Exchange]) -> None:
    """They reached the provider as the client sent them."""
    for one in exchanges:
        assert one.received.body == one.sent.body


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for name, inner in value.items() if name != "type" for text in _texts(inner))
    elif isinstance(value, list):
        yield from (text for inner in value for text in _texts(inner))
