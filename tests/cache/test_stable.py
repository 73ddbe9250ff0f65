"""A beginning made stable: the same bytes in another place, and what is cached then."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.cache import CacheSettings
from headroom.cache.stable import TAIL, stabilize, tail_start
from headroom.engine import Engine, Mode, RawRequest, Rewrite
from headroom.session.memory import RamMemory
from headroom.wire.shapes import read
from headroom.wire.spans import as_it_stood, splice
from headroom.wire.usage import Usage
from tests.cache.programs import MARK, SYSTEM, TOOLS, Json, agent, chat, dumps, marks, text
from tests.support.billing import PrefixCache

CLOCK = "It is 10:00:03."
RULES = 'You run a shop. Être bref, s\'il vous plaît. 🕰 "Quotes" and \\ stay.'
SHAPES = ("anthropic", "anthropic-blocks", "openai-chat", "openai-chat-parts", "openai-responses", "gemini")


def request(shape: str, texts: list[str], tools: list[str] | None = None) -> tuple[str, Json]:
    """A request whose system prompt has these texts, one after the other where the shape takes several."""
    whole, names = "\n".join(texts), tools or []
    schema: Json = {"type": "object", "properties": {"é": {"type": "string"}}}
    turn = {"role": "user", "content": f"{CLOCK} Which orders are late?"}
    plain = [{"name": name, "input_schema": schema} for name in names]
    functions = [{"type": "function", "function": {"name": name, "parameters": schema}} for name in names]
    match shape:
        case "anthropic":
            return "anthropic", {"model": "m", "system": whole, "tools": plain, "messages": [turn]}
        case "anthropic-blocks":
            return "anthropic", {"tools": plain, "messages": [turn], "system": [text(said) for said in texts]}
        case "openai-chat":
            said = [{"role": "system", "content": part} for part in texts]
            return "openai-chat", {"model": "m", "tools": functions, "messages": [*said, turn]}
        case "openai-chat-parts":
            parts = {"role": "developer", "content": [text(part) for part in texts]}
            return "openai-chat", {"model": "m", "messages": [parts, turn], "tools": functions}
        case "openai-responses":
            own = [{"type": "function", "name": name, "parameters": schema} for name in names]
            return "openai-responses", {"input": [turn], "instructions": whole, "tools": own}
    parts = {"parts": [{"text": part} for part in texts]}
    declared = [{"functionDeclarations": [{"name": name, "parameters": schema} for name in names]}]
    return "gemini", {
        "contents": [{"role": "user", "parts": [{"text": CLOCK}]}],
        "tools": declared,
        "systemInstruction": parts,
    }


def system_of(shape: str, body: Json) -> list[str]:
    said: list[Any] = {
        "anthropic": lambda: [body["system"]],
        "openai-chat": lambda: [message["content"] for message in body["messages"] if message["role"] != "user"],
        "openai-responses": lambda: [body["instructions"]],
        "gemini": lambda: [body["systemInstruction"]["parts"]],
    }[shape]()
    return [block["text"] for each in said for block in ([text(each)] if isinstance(each, str) else each)]


def rest_of(shape: str, body: Json) -> Json:
    """All but the system prompt and the order of the tools."""
    rest: Json = json.loads(json.dumps(body))
    for name in ("system", "instructions", "systemInstruction"):
        rest.pop(name, None)
    if shape == "openai-chat":
        rest["messages"] = [message for message in rest["messages"] if message["role"] == "user"]
    tools = rest.pop("tools")
    rest["tools"] = sorted(
        json.dumps(tool) for tool in (tools[0]["functionDeclarations"] if shape == "gemini" else tools)
    )
    return rest


def made_stable(shape: str, body: Json, *, ascii_only: bool = False) -> Json:
    raw = json.dumps(body, ensure_ascii=ascii_only).encode()
    parsed = json.loads(splice(raw, stabilize(shape, raw)))
    assert isinstance(parsed, dict)
    return parsed


@pytest.mark.parametrize("ascii_only", [False, True], ids=["utf-8", "escapes"])
@pytest.mark.parametrize("name", SHAPES)
def test_what_says_now_goes_to_the_end_of_the_system_prompt(name: str, ascii_only: bool) -> None:
    shape, body = request(name, [f"{RULES} {CLOCK}", "Session ID: abc-1234\n" + RULES])
    out = made_stable(shape, body, ascii_only=ascii_only)
    assert "".join(system_of(shape, out)).endswith(f"{TAIL}{CLOCK}\nSession ID: abc-1234")
    before = "\n".join(system_of(shape, out)).partition(TAIL)[0]
    assert before.split() == f"{RULES} {RULES}".split()
    assert rest_of(shape, out) == rest_of(shape, body)


def test_at_anthropic_the_tail_is_a_block_of_its_own() -> None:
    out = made_stable("anthropic", {"system": f"{CLOCK} {RULES}", "messages": []})
    assert out["system"] == [text(RULES), text(TAIL + CLOCK)]
    marked = [text(f"{CLOCK} {RULES}", cache_control=MARK), text("Be brief.")]
    out = made_stable("anthropic", {"system": marked, "messages": []})
    assert out["system"] == [text(RULES, cache_control=MARK), text("Be brief."), text(TAIL + CLOCK)]


def test_a_block_that_only_says_now_moves_as_a_whole() -> None:
    out = made_stable("anthropic", {"system": [text(CLOCK), text(RULES)], "messages": []})
    assert out["system"] == [text(RULES), text(TAIL + CLOCK)]
    kept = [text(CLOCK, cache_control=MARK), text(RULES)]
    assert made_stable("anthropic", {"system": kept, "messages": []})["system"] == kept, "its breakpoint may not move"


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        *((name, [RULES]) for name in SHAPES),
        *((name, [CLOCK]) for name in SHAPES),
        ("anthropic-blocks", [RULES, CLOCK]),
        ("openai-chat", [f"{RULES} {CLOCK}"]),
        ("openai-chat", [RULES, CLOCK]),
        ("openai-responses", [f"{RULES}\n{CLOCK}"]),
    ],
)
def test_a_beginning_that_is_stable_is_left_as_it_is(name: str, texts: list[str]) -> None:
    shape, body = request(name, texts, ["a", "b"])
    assert stabilize(shape, dumps(body)) == []


@pytest.mark.parametrize("name", SHAPES)
def test_tools_are_sorted_by_name(name: str) -> None:
    orders = [request(name, [RULES], tools) for tools in (["b", "c", "a"], ["a", "b", "c"], ["c", "b", "a"])]
    outs = [splice(dumps(body), stabilize(shape, dumps(body))) for shape, body in orders]
    assert outs[0] == outs[1] == outs[2] == dumps(orders[1][1])


def test_tools_under_a_breakpoint_stay_in_their_order() -> None:
    tools = [*TOOLS[::-1][:-1], {**TOOLS[0], "cache_control": MARK}]
    assert stabilize("anthropic", dumps(agent(2, tools=tools))) == []


def test_a_body_without_any_of_it() -> None:
    for shape, body in (
        ("anthropic", {"messages": []}),
        ("gemini", {}),
        ("openai-chat", {"messages": "?", "tools": 7}),
    ):
        assert stabilize(shape, dumps(body)) == []


SENTENCES = st.sampled_from([CLOCK, "Today is 2026-03-01.", "Session ID: abc-1234", RULES, "Be brief.", "é\u2028🕰"])
TEXT = st.lists(st.tuples(SENTENCES | st.text(max_size=20), st.sampled_from([" ", "\n", ""]))).map(
    lambda parts: "".join(said + gap for said, gap in parts)
)
BODIES = st.builds(
    request,
    st.sampled_from(SHAPES),
    st.lists(TEXT, min_size=1, max_size=3),
    st.lists(st.sampled_from("abcdef"), unique=True),
)


@given(BODIES, st.booleans())
def test_the_content_is_the_same_and_only_moved(made: tuple[str, Json], ascii_only: bool) -> None:
    shape, body = made
    raw = json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    moves = stabilize(shape, raw)
    out = splice(raw, moves)
    assert out == splice(raw, stabilize(shape, raw)), "the same body, the same bytes"
    assert stabilize(shape, out) == [], "once is enough"
    parsed = json.loads(out)
    assert rest_of(shape, parsed) == rest_of(shape, body)
    before, after = (Counter("".join("".join(system_of(shape, one)).split())) for one in (body, parsed))
    assert after - before == (
        Counter("".join(TAIL.split())) if TAIL in "".join(system_of(shape, parsed)) else Counter()
    )
    assert not before - after
    for at in range(0, len(out), 7):
        stood = as_it_stood(at, moves)
        assert 0 <= stood <= len(raw)
        if not any(start <= stood < max(end, start + 1) for start, end, _ in moves):
            assert raw[stood] == out[at]


@given(BODIES)
def test_another_time_makes_no_difference_before_the_tail(made: tuple[str, Json]) -> None:
    shape, body = made
    other = json.loads(json.dumps(body).replace("10:00:03", "21:42:59"))
    one, two = ("".join(system_of(shape, made_stable(shape, each))) for each in (body, other))
    assert one.partition(TAIL)[0].replace("10:00:03", "") == two.partition(TAIL)[0].replace("21:42:59", "")


class Loop:
    """A program behind an engine, its requests billed by a provider with a prefix cache."""

    def __init__(self, stable: bool, agent: str = "Anthropic/Python") -> None:
        self.engine = Engine(RamMemory(), CacheSettings(stable_prefix=stable))
        self.cache, self.agent = PrefixCache(), agent

    def send(self, body: Json, mode: Mode = "optimize") -> Rewrite:
        headers = {"user-agent": self.agent}
        raw = RawRequest("anthropic", "anthropic", "/v1/messages", headers, dumps(body), host="api.anthropic.com")
        return self.engine.rewrite(raw, mode)

    def read(self, bodies: Iterator[Json]) -> tuple[int, int]:
        """Tokens of all requests, and how many of them were read from the cache."""
        total = read_ = 0
        for body in bodies:
            rewrite = self.send(body)
            bill = self.cache.bill("anthropic", json.loads(rewrite.body))
            self.engine.settle(rewrite, Usage(bill.plain, bill.write, 0, bill.read, 1))
            total, read_ = total + bill.input, read_ + bill.read
        return total, read_


def shuffled(seed: int) -> list[Any]:
    return random.Random(seed).sample(TOOLS, len(TOOLS))


def with_a_clock() -> Iterator[Json]:
    """One conversation: another time and another order of tools in every request."""
    for n in range(1, 12):
        yield agent(n, system=f"You are X.\nIt is 10:{n:02}:{3 * n:02}.\n{SYSTEM}", tools=shuffled(n))


def with_a_session_id() -> Iterator[Json]:
    """Short conversations, each with an id of its own in its system prompt."""
    for session in range(6):
        system = f"Session ID: 3f2b8c1e-7a4d-4e5f-9b6a-0c1d2e3f4a5{session}\n{SYSTEM}"
        for n in range(1, 3):
            yield agent(n, f"Question {session}", system=system)


@pytest.mark.parametrize("program", [with_a_clock, with_a_session_id])
def test_the_prefix_grows_then(program: Any) -> None:
    total, read_ = Loop(stable=False).read(program())
    stable, more = Loop(stable=True).read(program())
    beginning = len(SYSTEM + json.dumps(TOOLS)) // 4
    assert stable == pytest.approx(total, rel=0.02)
    if program is with_a_clock:
        assert read_ == 0
        assert more >= 8 * beginning
    else:
        assert more - read_ >= 3 * beginning


def test_the_breakpoint_stands_before_the_tail() -> None:
    loop = Loop(stable=True)
    seen = [marks(json.loads(loop.send(body).body)) for body in with_a_clock()]
    assert seen[0] == [] and seen[1:] == [["system 0"]] * 10


def test_it_is_off_until_asked_for() -> None:
    body = next(with_a_clock())
    assert Loop(stable=False).send(body).body == dumps(body)
    assert json.loads(Loop(stable=True).send(body).body)["system"][1]["text"] == TAIL + "It is 10:01:03."


@pytest.mark.parametrize("agent", ["claude-cli/2.1", "codex_cli_rs/1", "GeminiCLI/1"])
def test_never_for_programs_that_look_after_their_cache(agent: str) -> None:
    body = next(with_a_clock())
    assert Loop(True, agent).send(body).body == dumps(body)


@pytest.mark.parametrize("mode", ["audit", "off"])
def test_no_other_mode_moves_anything(mode: Mode) -> None:
    body = next(with_a_clock())
    assert Loop(stable=True).send(body, mode).body == dumps(body)


def test_a_session_that_is_left_alone_keeps_its_order() -> None:
    loop, bodies = Loop(stable=True), with_a_clock()
    loop.engine.leave_alone(loop.send(next(bodies)).identity.session, "refused")
    for body in bodies:
        assert loop.send(body).body == dumps(body)


def test_the_original_of_a_moved_request_leaves_nothing_that_is_read() -> None:
    loop, bodies = Loop(stable=True), with_a_session_id()
    loop.send(next(bodies))
    back = loop.send(next(bodies)).taken_back("refused with 400")
    assert (back.plan.moved, back.plan.life, back.plan.reach) == ((), "", 0)


def test_reports_tell_where_a_result_stood_in_the_request_as_it_came() -> None:
    body = agent(3, system=f"It is 10:00. {SYSTEM}")
    rewrite = Loop(stable=True).send(body)
    raw = dumps(body)
    assert [raw[slice(*block.span)] for block in rewrite.blocks] == [
        dumps(message["content"][0]["content"]) for message in body["messages"][2::2]
    ]


def test_what_broke_is_told_of_the_request_as_it_came() -> None:
    loop = Loop(stable=True)
    loop.send(agent(2, system=f"It is 10:00. {SYSTEM}"))
    body = agent(3, system=f"It is 10:02. {SYSTEM} And be quick.")
    broken = loop.send(body).plan.broken
    assert broken is not None and broken.part == "system"
    assert dumps(body)[: broken.at].endswith(SYSTEM.strip().encode()[-20:]) or dumps(body)[broken.at :].startswith(
        b" And"
    )


def test_a_tail_is_recognized() -> None:
    def at(*texts: str) -> str:
        layout = read("anthropic", dumps({"system": [text(said) for said in texts], "messages": []}))
        start = tail_start(layout)
        return layout.body[start:].decode() if start else ""

    assert at(RULES, TAIL + CLOCK).startswith(json.dumps(text(TAIL + CLOCK), separators=(",", ":"))[:30])
    assert at(RULES, CLOCK).startswith('{"type":"text","text":"It is')
    for texts in ((RULES,), (CLOCK,), (RULES, RULES), (CLOCK, RULES), (RULES, "")):
        assert at(*texts) == ""
    assert tail_start(read("anthropic", dumps(chat(1)))) == 0
