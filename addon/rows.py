"""What is known of one exchange, and the row that the ledger keeps of it."""

import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

from mitmproxy import http

from addon.answers import Asked
from headroom.engine import Rewrite
from headroom.ledger import Exchange as Row
from headroom.ledger import Totals
from headroom.subscription import Reading
from headroom.wire.targets import Target
from headroom.wire.usage import UsageReader

_KINDS = {
    "time": "a time", "date": "a date", "id": "an id", "tool order": "tools in another order",
    "key order": "keys in another order", "beta header": "a beta header", "model": "another model",
    "setting": "another setting", "text": "other text",
}  # fmt: skip

_ADDED = {
    "automatic": "automatic caching asked for", "breakpoint": "breakpoints set", "key": "cache key sent",
    "": "nothing added",
}  # fmt: skip

REFUSED = (400, 413, 422)
"""Statuses with which a provider refuses a body unpaid."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer, until the ledger has it. Times are unix seconds, ``seconds`` what we took."""

    target: Target
    mode: str
    project: str | None = None
    started: float = field(default_factory=time.time)
    ended: float = 0.0
    rewrite: Rewrite | None = None
    outcome: str = "passed"
    reason: str = ""
    arrived: bytes = b""
    """The body as the client sent it, decoded."""
    original: bytes | None = None
    headers: http.Headers | None = None
    bytes_before: int = 0
    bytes_after: int = 0
    seconds: float = 0.0
    first_byte: float = 0.0
    status: int = 0
    reader: UsageReader | None = None
    plan: Reading | None = None
    traceparent: str = ""
    asked: Asked | None = None
    """The question, where its answer is to be kept."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


def take_back(exchange: Exchange, reason: str) -> None:
    """What the provider answered in the end is the original: nothing was saved."""
    exchange.outcome, exchange.reason, exchange.bytes_after = "resent", reason, exchange.bytes_before
    if exchange.rewrite is not None:
        exchange.rewrite = exchange.rewrite.taken_back(reason)


def describe(rewrite: Rewrite) -> dict[str, Any]:
    """What the content view shows, as plain data that mitmproxy can save with the flow."""
    plan, cache = rewrite.plan, []
    if plan.kind or plan.reason:
        cache.append(f"{_ADDED[plan.kind]}: {plan.reason}")
    if plan.moved:
        cache.append("the beginning made stable: what says now moved to the system prompt's end, tools sorted")
    if plan.broken is not None:
        broken = plan.broken
        cost = f"about {broken.tokens:,} tokens behind it are billed again" if broken.tokens else "it was not cached"
        cache.append(f"{_where(broken.part, broken.kind, broken.at)}; {cost}")
    return {
        "session": rewrite.identity.session,
        "client": rewrite.identity.client,
        "model": rewrite.model,
        "tokens_before": rewrite.tokens_before,
        "tokens_after": rewrite.tokens_after,
        "saved": dict(rewrite.saved),
        "reason": rewrite.reason,
        "cache": cache,
        "blocks": list(rewrite.blocks),
    }


def error_body(shape: str, status: int, message: str) -> dict[str, object]:
    """An error of ours in the provider's own shape."""
    if shape == "anthropic":
        kind = "rate_limit_error" if status == 429 else "invalid_request_error"
        return {"type": "error", "error": {"type": kind, "message": f"headroom: {message}"}}
    if shape == "gemini":
        name = "RESOURCE_EXHAUSTED" if status == 429 else "INVALID_ARGUMENT"
        return {"error": {"code": status, "message": f"headroom: {message}", "status": name}}
    kind = "insufficient_quota" if status == 429 else "invalid_request_error"
    return {"error": {"message": f"headroom: {message}", "type": kind, "param": None, "code": kind}}


def figures(row: Row) -> dict[str, object]:
    """A row for a log that programs read; it is as free of content as the ledger."""
    data = asdict(row)
    return {**data, "tokens_saved": row.tokens_saved, "saved_by_strategy": dict(row.saved_by_strategy)}


def one_line(row: Row) -> str:
    """The log's line for an exchange; nothing of its content."""
    parts = [f"{row.kind} {row.model or '?'}", row.outcome, f"{row.tokens_before:,} -> {row.tokens_after:,} tokens"]
    if row.saved_by_strategy:
        parts.append(" ".join(f"{name}={saved}" for name, saved in sorted(row.saved_by_strategy.items())))
    if row.usage is not None:
        u = row.usage
        parts.append(
            f"billed in={u.input_tokens} write={u.cache_write_tokens + u.cache_write_1h_tokens}"
            f" read={u.cache_read_tokens} out={u.output_tokens}"
        )
    if row.cost_usd is not None and row.cost_without_usd is not None:
        parts.append(f"${row.cost_usd:.4f}, without ${row.cost_without_usd:.4f}")
    if row.optimizer_saved_usd:
        parts.append(f"caching saved ${row.optimizer_saved_usd:.4f}")
    if row.break_part:
        cost = f": {row.break_tokens:,} tokens billed again, ${row.break_usd:.4f}" if row.break_tokens else ""
        parts.append(_where(row.break_part, row.break_kind, row.break_at) + cost)
    parts.append(f"{row.rewrite_ms:.1f} ms")
    if row.reason:
        parts.append(row.reason)
    return f"{row.status} " + ", ".join(parts) + f" [{row.session[:12]}]"


def _where(part: str, kind: str, at: int) -> str:
    """What broke a prefix, in words."""
    return f"the client changed {part}{f' at byte {at:,}' if at else ''} ({_KINDS.get(kind, kind)})"


def summary(totals: Totals) -> str:
    """The log's last line: what a run came to."""
    share = 100 * totals.tokens_saved / totals.tokens_before if totals.tokens_before else 0.0
    less = totals.cost_without_usd - totals.cost_usd
    return (
        f"this run: {totals.requests} requests, {totals.rewritten} rewritten, {totals.errors} errors;"
        f" {totals.tokens_saved:,} of {totals.tokens_before:,} tokens saved ({share:.1f} %);"
        f" billed ${totals.cost_usd:.4f}, ${less:.4f} less than without"
    )
