"""The figures of /stats and /stats-history, from the ledger."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from headroom.api.world import World
from headroom.ledger import Exchange, Totals

RECENT = 100
HOURS = 24 * 92
SERIES = ("history", "hourly", "daily", "weekly", "monthly")
BEGINS = ("today", "week", "all")

type Json = dict[str, object]


def begin_of(what: str, now: float | None = None) -> float:
    """Unix seconds since when ``today`` (local midnight), ``week`` (seven days) or ``all`` counts."""
    now = time.time() if now is None else now
    if what == "today":
        return time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
    return now - 7 * 86400 if what == "week" else 0.0


def stats(world: World, originals: Mapping[str, Any]) -> Json:
    """Everything since the proxy's first day, today, and the newest requests; the names that the npm package reads."""
    last = world.live.last  # before the rows: whoever asks for the events after it misses none
    ledger = world.ledger
    sums, rows = ledger.totals(), ledger.recent(RECENT)
    before, store = sums.tokens_before, originals["store"]
    times, waits = [row.rewrite_ms for row in rows if row.rewrite_ms], [row.ttfb_ms for row in rows if row.ttfb_ms]
    return {
        "requests": {
            "total": sums.requests,
            "cached": 0,
            "rate_limited": sum(row.status == 429 and row.outcome == "error" for row in rows),
            "failed": sums.errors,
            "rewritten": sums.rewritten,
            "by_provider": {name: part.requests for name, part in ledger.by("provider")},
            "by_model": {name: part.requests for name, part in ledger.by("model")},
        },
        "tokens": {
            "input": sums.usage.total_input,
            "output": sums.usage.output_tokens,
            "saved": sums.tokens_saved,
            "cli_tokens_avoided": 0,
            "total_before_compression": before,
            "savings_percent": 100 * sums.tokens_saved / before if before else 0.0,
        },
        "latency": _spread(waits),
        "overhead": _spread(times),
        "pipeline_timing": {},
        "waste_signals": {},
        "compression": {
            "ccr_entries": store["entries"],
            "ccr_max_entries": store["max_entries"],
            "original_tokens_cached": store["original_tokens_cached"],
            "compressed_tokens_cached": store["compressed_tokens_cached"],
            "ccr_retrievals": store["retrievals"],
        },
        "cost": cost(sums),
        "feedback_loop": {
            "tools_tracked": 0,
            "total_compressions": sums.rewritten,
            "total_retrievals": store["retrievals"],
            "global_retrieval_rate": 0.0,
        },
        "today": summary(ledger.totals(since=begin_of("today"))),
        "budget": budget(world),
        "plans": [asdict(plan) for plan in world.subscriptions.plans()],
        "last_event": last,
        "recent_requests": [request_metrics(row) for row in rows],
    }


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def summary(sums: Totals) -> Json:
    """Sums for programs; tokens, and USD where the name says so."""
    return {**asdict(sums), "saved_usd": sums.saved_usd, "compression_saved_usd": sums.compression_saved_usd}


def cost(sums: Totals) -> Json:
    """USD as billed, and as it would have been without us, net of the provider's cache."""
    return {
        "billed_usd": sums.cost_usd,
        "without_usd": sums.cost_without_usd,
        "saved_usd": sums.saved_usd,
        "saved_by_compression_usd": sums.compression_saved_usd,
        "saved_by_caching_usd": sums.optimizer_saved_usd,
        "cache_read_tokens": sums.usage.cache_read_tokens,
    }


def budget(world: World) -> Json:
    """What may be spent today (UTC) by all proxies of the workspace, and what was."""
    day = time.time() // 86400 * 86400
    limit = world.running.budget_usd
    spent = world.ledger.spent_usd(day)
    reset = datetime.fromtimestamp(day + 86400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"limit_usd": limit, "spent_usd": spent, "share": spent / limit if limit else None, "resets_at": reset}


def request_metrics(row: Exchange) -> Json:
    """A row of the ledger under the names of the SDKs' RequestMetrics."""
    usage = row.usage
    return {
        "request_id": row.id,
        "timestamp": iso(row.time),
        "model": row.model,
        "provider": row.provider,
        "client": row.client,
        "project": row.project,
        "session": row.session,
        "kind": row.kind,
        "mode": row.mode,
        "status": row.status,
        "outcome": row.outcome,
        "reason": row.reason,
        "tokens_input_before": row.tokens_before,
        "tokens_input_after": row.tokens_after,
        "tokens_saved": row.tokens_saved,
        "savings_percent": 100 * row.tokens_saved / row.tokens_before if row.tokens_before else 0.0,
        "input_tokens_original": row.tokens_before,
        "input_tokens_optimized": row.tokens_after,
        "output_tokens": usage.output_tokens if usage else None,
        "tokens_output": usage.output_tokens if usage else None,
        "cached_tokens": usage.cache_read_tokens if usage else None,
        "optimization_latency_ms": row.rewrite_ms,
        "time_to_first_byte_ms": row.ttfb_ms,
        "cost_usd": row.cost_usd,
        "cost_without_usd": row.cost_without_usd,
        "transforms_applied": sorted(row.saved_by_strategy),
        "saved_by_strategy": dict(row.saved_by_strategy),
        "break_part": row.break_part,
        "error": row.reason or None if row.outcome == "error" or row.status >= 400 else None,
    }


def history(world: World, series: str) -> list[Json]:
    """Sums by hour, day, week (from Monday) or month in UTC, oldest first; ``history`` is ``hourly``."""
    found: dict[str, Totals] = {}
    for hour, sums in world.ledger.hours(HOURS):
        name = _bucket(hour, series)
        found[name] = found.get(name, Totals()) + sums
    return [{"timestamp": name, **_point(sums)} for name, sums in sorted(found.items())]


def _bucket(hour: str, series: str) -> str:
    """The beginning of the span in which an hour, ``2026-01-02T03:00:00Z``, lies."""
    if series in ("history", "hourly"):
        return hour
    day = datetime.fromisoformat(hour).date()
    if series == "weekly":
        day = datetime.fromordinal(day.toordinal() - day.weekday()).date()
    elif series == "monthly":
        day = day.replace(day=1)
    return f"{day.isoformat()}T00:00:00Z"


def _point(sums: Totals) -> Json:
    return {
        "requests": sums.requests,
        "rewritten": sums.rewritten,
        "errors": sums.errors,
        "tokens_before": sums.tokens_before,
        "tokens_saved": sums.tokens_saved,
        "cache_read_tokens": sums.usage.cache_read_tokens,
        "cost_usd": sums.cost_usd,
        "cost_without_usd": sums.cost_without_usd,
        "saved_usd": sums.saved_usd,
    }


def _spread(numbers: list[float]) -> Json:
    if not numbers:
        return {"average_ms": 0.0, "min_ms": 0.0, "max_ms": 0.0}
    return {"average_ms": sum(numbers) / len(numbers), "min_ms": min(numbers), "max_ms": max(numbers)}
