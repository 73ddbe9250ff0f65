"""What is no conversation: named by its place, or passed on as it came, as the SDK alone would have done."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from headroom import HeadroomClient, IntelligentContextManager, RollingWindow, ValidationError, compress
from headroom.messages import ROLES
from tests.library.conversations import MODELS, SHAPES, Step, messages
from tests.library.test_same_bytes import Wire, ask, sdk

LOOP: list[Any] = []
LOOP.append(LOOP)
ONE = {shape: messages(shape, [Step("look", {}, "ok")])[1:] for shape in SHAPES}
"""A call and its result: they have the marks of their shape."""


@pytest.mark.parametrize(("shape", "other"), list(permutations(SHAPES, 2)))
def test_messages_of_two_shapes_are_refused_and_both_places_named(shape: str, other: str) -> None:
    mixed = [*ONE[shape], *ONE[other]]
    with pytest.raises(ValidationError) as caught:
        compress(mixed)
    place = str(caught.value.details["place"])
    assert place.startswith("messages[") and f"is of the shape {other}" in caught.value.message
    assert f"is of the shape {shape}" in caught.value.message and caught.value.details["expected"]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_unknown_role_is_refused_with_those_that_there_are(shape: str) -> None:
    said = [*ONE[shape], {"role": "wizard", **({"parts": []} if shape == "gemini" else {"content": "x"})}]
    with pytest.raises(ValidationError) as caught:
        compress(said, MODELS[shape])
    assert caught.value.message == f"messages[{len(said) - 1}].role is 'wizard'; expected {', '.join(ROLES[shape])}"


@pytest.mark.parametrize("wrong", [None, "text", b"text", 5, {"role": "user"}, {1}, iter([])])
@pytest.mark.parametrize("call", [compress, IntelligentContextManager().apply, RollingWindow().apply])
def test_what_is_no_list_is_refused(call: Any, wrong: Any) -> None:
    with pytest.raises(ValidationError, match=r"^messages is .*; expected a list of messages$"):
        call(wrong)


@pytest.mark.parametrize("call", [compress, IntelligentContextManager().apply, RollingWindow().apply])
def test_an_empty_list_stays_empty(call: Any) -> None:
    assert call([]).messages == [] and call(()).messages == []


def test_a_tuple_of_messages_is_a_list_of_messages() -> None:
    said = messages("openai-chat", [Step("look", {}, "ok")])
    assert compress(tuple(said), "gpt-4o").messages == said


ODD: list[list[Any]] = [
    [],
    [{"role": "wizard", "content": "x"}],
    [{"role": "user", "content": None}],
    [{"role": "user", "content": [{"type": "hologram", "data": [1, None, {}]}]}],
    [{"content": "no role"}],
    [{"role": "user", "parts": [{"text": "of another shape"}]}, {"role": "tool", "content": "x", "tool_call_id": "1"}],
    [{"role": "user", "content": "\ud7ff \u2028 \x00 é" * 50}],
    [{"role": "tool", "tool_call_id": None, "content": [[], "", {}]}],
]


@pytest.mark.parametrize("said", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("shape", ["anthropic", "openai-chat", "openai-responses"])
def test_a_client_passes_odd_messages_on_as_they_came(shape: str, said: list[Any], tmp_path: Path) -> None:
    plain, ours = Wire(), Wire()
    ask(shape, sdk(shape, plain.http(shape)), said)
    with client(shape, ours, tmp_path) as wrapped:
        ask(shape, wrapped, said)
    assert ours.sent[-1].content == plain.sent[-1].content


@pytest.mark.parametrize(
    "said", [[{"role": "user", "content": LOOP}], [{"role": "user", "content": object()}], [{"role": "user", 5j: "x"}]]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_an_sdk_can_not_write_is_the_sdks_own_error(shape: str, said: list[Any], tmp_path: Path) -> None:
    plain, ours = Wire(), Wire()
    with pytest.raises(Exception) as own:
        ask(shape, sdk(shape, plain.http(shape)), said)
    with client(shape, ours, tmp_path) as wrapped, pytest.raises(type(own.value)):
        ask(shape, wrapped, said)
    assert ours.sent == plain.sent == []


def test_a_client_sends_thousands_of_messages(tmp_path: Path) -> None:
    said = [{"role": "assistant" if n % 2 else "user", "content": "and then?"} for n in range(3_001)]
    plain, ours = Wire(), Wire()
    ask("openai-chat", sdk("openai-chat", plain.http("openai-chat")), said)
    limits = {MODELS["openai-chat"]: 10_000_000}
    with client("openai-chat", ours, tmp_path, model_context_limits=limits) as wrapped:
        ask("openai-chat", wrapped, said)
        assert wrapped.get_stats()["session"]["requests_total"] == 1
    assert ours.sent[-1].content == plain.sent[-1].content


def client(shape: str, wire: Wire, folder: Path, **more: Any) -> Any:
    url = f"sqlite:///{folder}/headroom.db"
    return HeadroomClient(
        sdk(shape, wire.http(shape)), store_url=url, default_mode="optimize", enable_cache_optimizer=False, **more
    )
