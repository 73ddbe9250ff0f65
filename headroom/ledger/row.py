"""One exchange as the ledger keeps it."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from headroom.wire.usage import Usage

NAME_CHARACTERS = 200
REASON_CHARACTERS = 300
STRATEGIES = 50
_number = r"-?\d{1,15}(?:\.\d{1,3})?"
_numbers = rf'\{{(?:"[a-z0-9_]{{1,30}}":{_number}(?:,(?!\}})|(?=\}})))*\}}'
_is_detail = re.compile(
    rf'\{{"stream":(?:true|false),"blocks":{_numbers},"waste":{_numbers},"prefix":"[0-9a-f]{{16}}","alignment":{_number}\}}'
).fullmatch
"""Numbers, a hash, and names of ours: nothing of a request's content."""
_MOST = 2**40
_MOST_USD = 1e9
_LATEST = 4e9
_not_in_a_name = re.compile(r"[^\w.:/@+\[\] -]").sub
_not_on_a_line = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+").sub


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer. Nothing of their content: names, numbers, and a ``reason`` in words of ours.

    ``id`` is a uuid in hex, ``time`` in unix seconds, ``kind`` what was asked for (messages, count_tokens, ...),
    ``mode`` optimize, audit or off, ``status`` the provider's (0: none came). ``outcome``: rewritten, unchanged (looked
    into), passed (not looked into), resent (the provider refused ours and took the original), error (ours). ``reason``
    says why a request was not rewritten or what went wrong.

    ``tokens_before`` and ``tokens_after`` estimate the request; in an audit ``tokens_after`` and ``saved_by_strategy``
    are what they would have been. ``usage`` is what the provider billed. The costs, in USD, are None where it did not
    say: ``cost_usd`` as billed, ``input_cost_usd`` its part for the request, ``cost_without_usd`` what it would have
    been without anything of ours. Of the difference ``optimizer_saved_usd`` came from using the provider's cache; it
    can be below zero.

    Where the client changed what it had sent before, ``break_part`` is where (tools, system, message 3, headers, ...),
    ``break_kind`` what it was (time, date, id, tool order, ...) and ``break_at`` the byte of the request; "" when
    nothing broke. ``break_tokens`` estimates what was billed once more since it was not read from the cache, and
    ``break_usd`` what that cost. ``detail`` is JSON with numbers of what the request was made of, where the library
    sent it.
    """

    id: str
    time: float
    session: str = ""
    project: str = ""
    client: str = ""
    provider: str = ""
    model: str = ""
    kind: str = ""
    mode: str = ""
    status: int = 0
    outcome: str = ""
    reason: str = ""
    tokens_before: int = 0
    tokens_after: int = 0
    saved_by_strategy: Mapping[str, int] = field(default_factory=dict)
    usage: Usage | None = None
    cost_usd: float | None = None
    input_cost_usd: float | None = None
    cost_without_usd: float | None = None
    optimizer_saved_usd: float = 0.0
    rewrite_ms: float = 0.0
    ttfb_ms: float = 0.0
    bytes_before: int = 0
    bytes_after: int = 0
    break_part: str = ""
    break_kind: str = ""
    break_at: int = 0
    break_tokens: int = 0
    break_usd: float = 0.0
    detail: str = ""

    @property
    def tokens_saved(self) -> int:
        """Tokens that nobody had to pay: of a rewritten request that was answered. Counting tokens is free anyway."""
        paid = self.kind != "count_tokens" and (self.status == 101 or 200 <= self.status < 300)
        return self.tokens_before - self.tokens_after if paid and self.outcome == "rewritten" else 0

    @property
    def tokens_savable(self) -> int:
        """Tokens that an audit found, and left."""
        found = self.mode == "audit" and self.kind != "count_tokens"
        return self.tokens_before - self.tokens_after if found else 0


def storable(exchange: Exchange) -> Exchange:
    """The exchange as any database takes it: names and reason cut and on one line, numbers finite and in range.

    Where usage or price is not known no saving in USD is left.
    """
    usage = exchange.usage
    cost = _amount(exchange.cost_usd) if usage is not None else None
    without = _amount(exchange.cost_without_usd)
    return replace(
        exchange,
        id=_name(exchange.id),
        time=float(exchange.time) if 0 <= exchange.time < _LATEST else time.time(),
        session=_name(exchange.session),
        project=_name(exchange.project),
        client=_name(exchange.client),
        provider=_name(exchange.provider),
        model=_name(exchange.model),
        kind=_name(exchange.kind),
        mode=_name(exchange.mode),
        status=_whole(exchange.status),
        outcome=_name(exchange.outcome),
        reason=_not_on_a_line(" ", exchange.reason)[:REASON_CHARACTERS],
        tokens_before=_whole(exchange.tokens_before),
        tokens_after=_whole(exchange.tokens_after),
        saved_by_strategy={
            _name(name): _whole(tokens) for name, tokens in list(exchange.saved_by_strategy.items())[:STRATEGIES]
        },
        usage=Usage(
            _whole(usage.input_tokens),
            _whole(usage.cache_write_tokens),
            _whole(usage.cache_write_1h_tokens),
            _whole(usage.cache_read_tokens),
            _whole(usage.output_tokens),
        )
        if usage is not None
        else None,
        cost_usd=cost,
        input_cost_usd=_amount(exchange.input_cost_usd) if cost is not None else None,
        cost_without_usd=(cost if without is None else without) if cost is not None else None,
        optimizer_saved_usd=(_amount(exchange.optimizer_saved_usd) or 0.0) if cost is not None else 0.0,
        rewrite_ms=_amount(exchange.rewrite_ms) or 0.0,
        ttfb_ms=_amount(exchange.ttfb_ms) or 0.0,
        bytes_before=_whole(exchange.bytes_before),
        bytes_after=_whole(exchange.bytes_after),
        break_part=_name(exchange.break_part),
        break_kind=_name(exchange.break_kind),
        break_at=_whole(exchange.break_at),
        break_tokens=_whole(exchange.break_tokens),
        break_usd=_amount(exchange.break_usd) or 0.0,
        detail=exchange.detail if _is_detail(exchange.detail) else "",
    )


def _name(text: str) -> str:
    return _not_in_a_name("?", text[:NAME_CHARACTERS])


def _whole(number: int) -> int:
    return max(-_MOST, min(int(number), _MOST))


def _amount(number: float | None) -> float | None:
    return max(-_MOST_USD, min(float(number), _MOST_USD)) if number is not None and math.isfinite(number) else None
