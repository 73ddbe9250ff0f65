"""Sessions as the dashboard and `headroom show` tell them: from the ledger, with what this process still remembers."""

from dataclasses import asdict

from headroom.api.figures import Json, request_metrics, summary
from headroom.api.live import Step
from headroom.api.world import World
from headroom.ledger import Exchange

LOOKED_AT = 2_000
"""Rows of the ledger among which troubles are looked for."""


def listed(world: World, limit: int) -> list[Json]:
    """The newest sessions with their sums."""
    names = {seen.row.session: seen.row for seen in world.live.since(0)}
    found: list[Json] = []
    for one in world.ledger.sessions(limit):
        row = names.get(one.session)
        about = {"client": row.client, "project": row.project, "model": row.model} if row else {}
        found.append({"session": one.session, "began": one.began, "last": one.last, **about, **summary(one.totals)})
    return found


def timeline(world: World, session: str, with_texts: bool) -> Json:
    """A session, exchange by exchange, with the blocks that were new in each.

    Blocks are known of what went through this process since it started; their texts are told only ``with_texts``.
    """
    seen = world.live.of_session(session)
    return {
        "session": session,
        "totals": summary(world.ledger.totals(session=session)),
        "texts": with_texts,
        "exchanges": [
            {**request_metrics(one.row), "blocks": [_step(step, with_texts) for step in one.steps]} for one in seen
        ],
    }


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
    if not with_texts:
        del data["text_before"], data["text_after"], data["subject"]
    return data
