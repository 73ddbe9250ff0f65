"""What was lost elsewhere of what had been left out."""

import json
from pathlib import Path

from headroom.ccr.originals import hash_of, open_originals
from tests.ccr.test_retrieval import ITEMS, OPTIONS, agent, look, retrieve, session
from tests.support.agent import results
from tests.support.answers import Answer
from tests.support.stage import stage


def test_the_stored_original_was_the_placeholder_itself(tmp_path: Path) -> None:
    """headroomlabs-ai/headroom #2694: what is kept is hashed from the bytes that arrived, and is given back as it came,
    also where it had a marker in it before."""
    printed = json.dumps(
        [*json.loads(ITEMS), {"id": 1, "name": f"[3 items left out. hash={'0a' * 12}]", "stock": "é\t"}]
    )
    with stage(tmp_path / "placeholder", options=OPTIONS) as on:
        client = agent(on, "anthropic", Answer(calls=(look(),)), Answer(calls=(retrieve(hash_of(printed)),)))
        client.tools["catalogue"] = lambda _: printed  # type: ignore[index]
        requests = session(on, client, "Which cost more than 500?")
        assert f"hash={hash_of(printed)}]" in results("anthropic", requests[1].json)[0]["text"]
        assert results("anthropic", requests[-1].json)[1]["text"] == printed
        store = open_originals(path=on.workspace / "originals.db")
        kept = store.get(hash_of(printed))
        store.close()
    assert kept is not None and kept.text == printed
