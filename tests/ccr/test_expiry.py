"""An original expires with the last session that was promised it, and not before: days pass in the store's own time."""

import json
from collections.abc import Iterator

import pytest

from headroom.ccr.deferred import EXPIRED, UNKNOWN
from headroom.ccr.originals import hash_of
from tests.ccr.test_retrieval import DONE, OPTIONS, agent, look, retrieve, session
from tests.support.agent import HEADERS, PATHS, SHAPES, Agent, results
from tests.support.answers import Answer
from tests.support.stage import Stage, stage

HOUR = 3600.0


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("expiry"), options=OPTIONS) as running:
        yield running


def items(of: str) -> str:
    """What a catalogue of its own prints, in which a hash names nothing of another's."""
    return json.dumps([{"id": n, "name": f"{of} number {n}", "price": n * 3, "stock": "yes"} for n in range(200)])


def with_catalogue(client: Agent, of: str) -> Agent:
    client.tools = {"catalogue": lambda _: items(of)}
    return client


def passes(on: Stage, seconds: float) -> None:
    assert on.control("clock", seconds=seconds).status_code == 200


@pytest.mark.parametrize("shape", SHAPES)
def test_what_only_a_session_long_over_was_promised_is_told_from_what_never_was(on: Stage, shape: str) -> None:
    hash, never = hash_of(items(shape)), hash_of("")
    first = with_catalogue(agent(on, shape, Answer(calls=(look(),))), shape)
    assert hash in results(shape, session(on, first, f"Which cost more? Asked in {shape}.")[-1].json)[0]["text"]
    passes(on, 48 * HOUR)

    helper = agent(on, shape, Answer(calls=(retrieve(hash), retrieve(never))))
    requests = session(on, helper, f"You are a helper. Look at what has the hash {hash}.")
    gone, nothing = results(shape, requests[-1].json)
    assert gone["text"] == EXPIRED.format(hash) and nothing["text"] == UNKNOWN.format(never)

    # the session that was promised it goes on after days: its request still brings the original
    agent(on, shape, Answer(calls=(look(),)), Answer(calls=(retrieve(hash),)))
    requests = session(on, first, "Tell me more.")
    assert results(shape, requests[-1].json)[1]["text"] == items(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_session_that_lives_loses_nothing_of_what_it_summed_up(on: Stage, shape: str) -> None:
    """For days its requests bring nothing of which anything was left out."""
    kind = f"long {shape}"
    hash = hash_of(items(kind))
    client = with_catalogue(agent(on, shape, Answer(calls=(look(),))), kind)

    headers = {**HEADERS, "x-headroom-session-id": f"long-{shape}"}
    client.send = lambda body: dict(on.send(body, headers, url=PATHS[shape]).response.raise_for_status().json())
    session(on, client, "Which cost more?")
    client.turns = [client._said(f"[So far the user asked what cost more. The catalogue is kept under {hash}.]")]
    on.provider.script = lambda shape, body: Answer(DONE)
    for day in range(4):
        passes(on, 20 * HOUR)
        session(on, client, f"What is new on day {day}?")
    passes(on, 20 * HOUR)
    agent(on, shape, Answer(calls=(retrieve(hash),)))
    requests = session(on, client, "Look at the catalogue again.")
    assert results(shape, requests[-1].json)[0]["text"] == items(kind)
