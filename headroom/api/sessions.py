"""Sessions as the dashboard and `headroom show` tell them: from the ledger, with what this process still remembers."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from headroom.api.figures import Json, iso, request_metrics, summary
from headroom.api.live import Step
from headroom.api.retrieving import told
from headroom.api.world import World
from headroom.ccr.deferred import RETRIEVED
from headroom.ledger import Exchange

LOOKED_AT = 2_000
"""Rows of the ledger among which troubles are looked for."""
LONGEST = 500
"""Exchanges of a session that are told."""


def listed(world: World, limit: int) -> list[Json]:
    """The newest sessions with their sums, and what their newest request says of them."""
    found: list[Json] = []
    for one in world.ledger.sessions(limit):
        newest = world.ledger.recent(1, session=one.session)
        about = {name: getattr(newest[0], name) if newest else "" for name in ("client", "project", "model")}
        times = {"began": iso(one.began), "last": iso(one.last)}
        found.append({"session": one.session, **times, **about, **summary(one.totals)})
    return found


def timeline(world: World, session: str, with_texts: bool) -> Json:
    """A session's newest exchanges, oldest first, with the blocks that were new in each.

    Texts are known of what went through this process of late, and told only ``with_texts``, as are the subjects (paths,
    commands) and whole hashes.
    """
    seen = {one.row.id: one for one in world.live.of_session(session)}
    done: defaultdict[str, list[Step]] = defaultdict(list)
    for block in world.blocks.of_session(session):
        sizes = (block.turn, block.tool, block.subject, block.before, block.after)
        done[block.exchange].append(Step(*sizes, block.saved, block.reason, hash=block.hash))
    exchanges: list[Json] = []
    for row in reversed(world.ledger.recent(LONGEST, session=session)):
        steps = seen[row.id].steps if row.id in seen else done[row.id]
        exchanges.append({**request_metrics(row), "blocks": [_step(step, with_texts) for step in steps]})
    totals = summary(world.ledger.totals(session=session))
    return {"session": session, "totals": totals, "texts": with_texts, "exchanges": exchanges}


def retrievals(world: World, asked: Sequence[dict[str, Any]], limit: int, whole: bool) -> list[Json]:
    """What was given back of late, newest first: ``asked`` over HTTP, and what models called for in their sessions,
    with ``whole`` hashes or their beginnings."""
    answered = [
        {
            "time": iso(seen.row.time),
            "how": "model",
            "hash": told(step.hash, whole),
            "tool": step.tool,
            "session": seen.row.session,
            "tokens": step.after,
            "query": None,
        }
        for seen in world.live.since(0)
        for step in seen.steps
        if RETRIEVED in step.saved
    ]
    over_http = [
        {
            "time": iso(one["time"]),
            "how": "http",
            "hash": one["hash"],
            "tool": one["tool_name"],
            "session": one["session"],
            "tokens": one["tokens"],
            "query": one["query"],
        }
        for one in asked
    ]
    return sorted([*answered, *over_http], key=lambda one: str(one["time"]), reverse=True)[:limit]


def troubles(world: World, limit: int) -> list[Json]:
    """The newest requests that failed here, were refused, or left as they came though they were to be looked into."""
    rows = world.ledger.recent(LOOKED_AT)
    bad = [row for row in rows if row.outcome in ("error", "resent") or row.status >= 400 or is_fail_open(row)]
    return [request_metrics(row) for row in bad[:limit]]


def is_fail_open(row: Exchange) -> bool:
    """Whether a request left as it came since something did not work."""
    left = row.outcome in ("passed", "unchanged")
    return left and row.reason.startswith(("time budget", "engine:", "body not", "streamed:", "the provider refused"))


def _step(step: Step, with_texts: bool) -> Json:
    data = asdict(step)
    data["hash"] = told(step.hash, with_texts)
    if not with_texts:
        del data["subject"]
    if not with_texts or step.text_before is None:
        del data["text_before"], data["text_after"]
    return data
