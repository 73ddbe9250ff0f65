"""What must hold between what clients sent and what reached the provider."""

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

from headroom.wire.usage import Usage
from tests.e2e.world import Exchange, World
from tests.support.billing import prefix_blocks

Json = dict[str, Any]
RESULTS = {
    "anthropic": re.compile(r"/messages/\d+/content/\d+/content(/\d+/text)?"),
    "openai-chat": re.compile(r"/messages/\d+/content(/\d+/text)?"),
    "openai-responses": re.compile(r"/input/\d+/output(/\d+/text)?"),
    "gemini": re.compile(r"/contents/\d+/parts/\d+/functionResponse/response/.+"),
}
"""Where tool results stand in a request: the only strings that may differ."""


def only_tool_results_changed(exchange: Exchange) -> int:
    """Look that nothing else differs, order of keys included, and that what differs is shorter. Bytes saved.

    But for the cache key, which programs get that send none to OpenAI.
    """
    shape = exchange.received.shape
    assert shape is not None
    sent, received = exchange.sent.json, exchange.received.json
    added = 0
    if shape.startswith("openai") and "prompt_cache_key" not in sent:
        key = received.pop("prompt_cache_key", None)
        added = len(f'"prompt_cache_key":"{key}",') if key else 0
    for path, before, after in _differences(sent, received, ""):
        assert isinstance(before, str) and isinstance(after, str), f"{path}: {before!r} became {after!r}"
        assert RESULTS[shape].fullmatch(path), f"{path} is no tool result and was changed"
        assert len(after.encode()) < len(before.encode()), f"{path} got longer"
    saved = len(exchange.sent.body) - len(exchange.received.body) + added
    assert saved >= 0
    assert saved or added or exchange.sent.body == exchange.received.body
    return saved


def no_prefix_broke(exchanges: Sequence[Exchange]) -> None:
    """What the provider has cached stays the beginning of the next request, as often as the client left it alone."""
    for before, after in itertools.pairwise(exchanges):
        sent, received = _blocks(before.sent.json, before), _blocks(before.received.json, before)
        kept_by_client = _common(sent, _blocks(after.sent.json, after))
        tools = sum(block.startswith("tool:") for block in sent)
        ours = len(received) - len(sent) if kept_by_client >= tools else 0  # a tool of our own, after the client's
        kept = _common(received, _blocks(after.received.json, after))
        assert kept == kept_by_client + ours, (
            f"block {kept} of {before.received.id} is another in {after.received.id}; the client kept {kept_by_client}"
        )


def betas_stayed(exchanges: Sequence[Exchange], header: str) -> None:
    """Every token that was sent earlier in the conversation is on each later request."""
    seen: dict[str, None] = {}
    for exchange in exchanges:
        seen |= dict.fromkeys(_tokens(exchange.sent.header(header)))
        assert _tokens(exchange.received.header(header)) == list(seen)


def results_stayed(exchanges: Sequence[Exchange]) -> None:
    """A tool result is the same text in every request that brings it."""
    seen: dict[str, Json] = {}
    for exchange in exchanges:
        for call, result in results(exchange.received.json):
            assert seen.setdefault(call, result) == result, f"the result of {call} is another in {exchange.received.id}"


def is_written_down(world: World, exchanges: Sequence[Exchange]) -> None:
    """The ledger has a row for each exchange and no other, with the usage that the provider billed.

    A request counts as rewritten when what stands at the provider before it is.
    """
    shorter = itertools.accumulate(
        exchanges,
        lambda before, one: (before and "previous_response_id" in one.sent.json) or one.sent.body != one.received.body,
        initial=False,
    )
    rows = world.rows(len(exchanges))
    assert all(row.session and row.client and row.status in (101, 200) for row in rows)
    written = [(row.outcome, row.bytes_before, row.bytes_after, row.usage) for row in rows]
    expected = [
        (
            "rewritten" if rewritten else "unchanged",
            len(exchange.sent.body),
            len(exchange.received.body),
            Usage(bill.plain, bill.write, 0, bill.read, bill.output),
        )
        for exchange, rewritten in zip(exchanges, itertools.islice(shorter, 1, None), strict=True)
        for bill in [exchange.received.bill]
    ]
    assert sorted(map(repr, written)) == sorted(map(repr, expected))


def results(value: object) -> Iterator[tuple[str, Json]]:
    """All tool results in a request, whatever its shape, by the ids of their calls."""
    if isinstance(value, dict):
        response = value.get("functionResponse")
        call = value.get("tool_use_id") or value.get("tool_call_id") or ("output" in value and value.get("call_id"))
        if isinstance(response, dict):
            yield str(response["id"]), response
        elif call:
            yield str(call), {key: value[key] for key in ("content", "output") if key in value}
        for inner in value.values():
            yield from results(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from results(inner)


def _differences(before: object, after: object, path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(before, dict) and isinstance(after, dict):
        assert list(before) == list(after), f"{path or 'the request'}: {list(before)} became {list(after)}"
        for key in before:
            yield from _differences(before[key], after[key], f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list):
        assert len(before) == len(after), f"{path}: {len(before)} became {len(after)} elements"
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{path}/{index}")
    elif before != after or type(before) is not type(after):
        yield path, before, after


def _blocks(body: Json, exchange: Exchange) -> list[str]:
    assert exchange.received.shape is not None
    return [text for text, _ in prefix_blocks(exchange.received.shape, body)]


def _common(before: list[str], after: list[str]) -> int:
    return next((n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(before))


def _tokens(value: str) -> list[str]:
    return [token for word in value.split(",") if (token := word.strip())]
