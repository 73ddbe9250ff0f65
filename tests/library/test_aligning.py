"""The cache aligner for programs: what a system prompt says of now goes to its end, the rest is the same every day."""

import json
from typing import Any

import pytest

from headroom import CacheAlignerConfig, HeadroomConfig, compress
from headroom.cache import CacheSettings
from headroom.cache.stable import stabilize
from headroom.engine import Engine, RawRequest
from headroom.inspection import inspect
from headroom.session.memory import RamMemory
from headroom.transforms.cache_aligner import align
from headroom.wire.shapes import read
from headroom.wire.spans import splice
from tests.library.test_client import SHAPES, World, asked, method, world

__all__ = ["world"]
ON = CacheAlignerConfig(enabled=True)
TAIL = ON.dynamic_tail_separator


def prompt(day: int) -> str:
    return f"You keep a shop. Today is November {day}, 2026. Session id: 7f3e-99{day}-a\nNever lie.   \n\n\n\nBe brief."


def with_system(shape: str, text: str) -> dict[str, Any]:
    match shape:
        case "anthropic":
            return asked(shape, system=text)
        case "openai-chat":
            said = asked(shape)
            return {**said, "messages": [{"role": "system", "content": text}, *said["messages"][1:]]}
        case "openai-responses":
            return asked(shape, instructions=text)
    return asked(shape, config={"system_instruction": text})


def system_of(shape: str, body: Any) -> str:
    match shape:
        case "anthropic":
            return "".join(block["text"] for block in body["system"])
        case "openai-chat":
            return str(body["messages"][0]["content"])
        case "openai-responses":
            return str(body["instructions"])
    return "".join(part["text"] for part in body["systemInstruction"]["parts"])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_beginning_is_the_same_every_day_and_the_end_says_which_it_is(world: World, shape: str) -> None:
    with world.wrapped(shape, config=HeadroomConfig(default_mode="optimize", cache_aligner=ON)) as client:  # type: ignore[arg-type]
        sent = []
        for day in (11, 12):
            method(client, shape)(**with_system(shape, prompt(day)))
            sent.append(system_of(shape, world.last.json))
            assert sent[-1] == align(prompt(day), ON)
        assert client.get_stats()["transforms"]["cache_aligner_enabled"] is True
    (first, one), (second, other) = (text.split(TAIL) for text in sent)
    assert first == second and "November 11" in one and "November 12" in other and "7f3e-9911-a" in one
    again = system_of(shape, world.last.json)
    assert again == sent[1], "the same request, the same bytes"


@pytest.mark.parametrize("shape", SHAPES)
def test_without_being_asked_nobodys_system_prompt_is_touched(world: World, shape: str) -> None:
    with world.wrapped(shape) as client:
        method(client, shape)(**with_system(shape, prompt(11)))
    body = world.last.json
    found = body["system"] if shape == "anthropic" else system_of(shape, body)
    found = found if isinstance(found, str) else "".join(block["text"] for block in found)
    assert found == prompt(11)
    engine = Engine(RamMemory(), CacheSettings())
    raw = json.dumps({"model": "gpt-4o", "messages": [{"role": "system", "content": prompt(11)}]}).encode()
    assert engine.rewrite(RawRequest("openai", "openai-chat", "", {}, raw)).body is raw


@pytest.mark.parametrize("role", ["system", "developer"])
def test_compress_does_it_to_the_messages_that_are_a_system_prompt(role: str) -> None:
    given = [{"role": role, "content": prompt(11)}, {"role": "user", "content": "Today is November 11, 2026."}]
    result = compress(given, "gpt-4o", cache_aligner=ON)
    assert result.messages[0] == {"role": role, "content": align(prompt(11), ON)}
    assert result.messages[1] is given[1] and result.transforms_applied == ("cache_aligner",)
    assert compress(given, "gpt-4o").messages == given
    parts = [{"type": "text", "text": "Today is November 11, 2026."}, {"type": "text", "text": "You keep a shop."}]
    listed = compress([{"role": role, "content": parts}, given[1]], "gpt-4o", cache_aligner=ON).messages[0]["content"]
    assert listed == [{"type": "text", "text": f"You keep a shop.{TAIL}Today is November 11, 2026."}]


def test_a_programs_own_patterns_and_separator_are_used() -> None:
    own = CacheAlignerConfig(enabled=True, dynamic_patterns=[r"Stock: \d+\."], dynamic_tail_separator="\n## Now\n")
    given = [{"role": "system", "content": "You keep a shop. Stock: 17. Today is November 11, 2026."}]
    result = compress(given, "gpt-4o", cache_aligner=own)
    assert result.messages[0]["content"] == "You keep a shop. Today is November 11, 2026.\n## Now\nStock: 17."


@pytest.mark.parametrize(
    "text",
    [
        "You keep a shop.\nToday is 2026-11-11.\nNever lie.  \n\n\n\nBe brief.",
        "You keep a shop.  \n\n \n\nBe brief.\n",
        "One line.",
        "a \n\n\n",
    ],
)
def test_blanks_are_tidied_where_that_is_asked_for(text: str) -> None:
    tidy = CacheAlignerConfig(enabled=True, normalize_whitespace=True)
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "system", "content": text}]}).encode()
    done = splice(body, stabilize("openai-chat", body, tidy, sort_tools=False))
    assert json.loads(done)["messages"][0]["content"] == align(text, tidy)
    assert stabilize("openai-chat", done, tidy, sort_tools=False) == []


def test_the_score_and_the_hash_say_what_aligning_is_for() -> None:
    def found(shape: str, body: Any) -> Any:
        return inspect(read(shape, json.dumps(body).encode()))

    said = [{"role": "user", "content": "Hello"}]
    days = [found("anthropic", {"model": "m", "system": prompt(day), "messages": said}) for day in (11, 12)]
    assert days[0].stable_prefix_hash == days[1].stable_prefix_hash
    assert 0 < days[0].cache_alignment_score < 50
    calm = found("anthropic", {"model": "m", "system": "You keep a shop.", "messages": said})
    assert calm.cache_alignment_score == 100 and calm.stable_prefix_hash != days[0].stable_prefix_hash
    aligned = found("anthropic", {"model": "m", "system": align(prompt(11), ON), "messages": said})
    assert aligned.cache_alignment_score > days[0].cache_alignment_score
