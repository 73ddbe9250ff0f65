"""What the ledger keeps of an exchange, whoever sent it: the proxy or a program with the library."""

from collections.abc import Callable
from typing import Protocol

from headroom.accounting import saved_tokens, written_again
from headroom.cache import accounting
from headroom.engine import Rewrite
from headroom.ledger import Exchange as Row
from headroom.ledger.cost import bill, input_bill, unread, without
from headroom.models import Price, price_for
from headroom.wire.targets import Target
from headroom.wire.usage import UsageReader

MAKERS = {"anthropic": "anthropic", "openai-chat": "openai", "openai-responses": "openai", "gemini": "gemini"}
"""Whose models speak a shape: Claude on Vertex AI costs what Claude costs."""


class Told(Protocol):
    """What is known of an exchange when it is over. Times are unix seconds, ``seconds`` what we took."""

    @property
    def id(self) -> str: ...
    @property
    def target(self) -> Target: ...
    @property
    def mode(self) -> str: ...
    @property
    def project(self) -> str | None: ...
    @property
    def started(self) -> float: ...
    @property
    def rewrite(self) -> Rewrite | None: ...
    @property
    def outcome(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def reader(self) -> UsageReader | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def first_byte(self) -> float: ...
    @property
    def bytes_before(self) -> int: ...
    @property
    def bytes_after(self) -> int: ...


def to_row(exchange: Told, detail: str = "", prices: Callable[[str, str], Price] = price_for) -> Row:
    """The ledger's row; costs only where the provider said what it billed, by the ``prices`` of a maker's models.
    ``detail``: see ``inspection.as_json``."""
    rewrite, reader = exchange.rewrite, exchange.reader
    usage = reader.usage if reader else None
    model = (rewrite.model if rewrite else "") or (reader.model if reader else None) or ""
    broken = rewrite.plan.broken if rewrite else None
    cost = input_cost = cost_without = None
    optimizer = again_usd = 0.0
    again = 0
    if usage is not None:
        price = prices(MAKERS[exchange.target.shape], model)
        cost = cost_without = bill(usage, price)
        input_cost = input_bill(usage, price)
        if rewrite is not None and exchange.outcome == "rewritten":
            unmarked = accounting.without(rewrite.plan, usage)
            cost_without = without(unmarked, price, *saved_tokens(rewrite, unmarked))
            optimizer = bill(unmarked, price) - cost
        if rewrite is not None and broken is not None:
            again = written_again(rewrite, usage)
            again_usd = unread(usage, price, again)
    return Row(
        id=exchange.id,
        time=exchange.started,
        session=rewrite.identity.session if rewrite else "",
        project=exchange.project or (rewrite.identity.project if rewrite else None) or "",
        client=rewrite.identity.client if rewrite else "",
        provider=exchange.target.provider,
        model=model,
        kind=exchange.target.kind,
        mode=exchange.mode,
        status=exchange.status,
        outcome=exchange.outcome,
        reason="; ".join(filter(None, (exchange.reason, reader.error_type if reader else None))),
        tokens_before=rewrite.tokens_before if rewrite else 0,
        tokens_after=rewrite.tokens_after if rewrite else 0,
        saved_by_strategy=dict(rewrite.saved) if rewrite else {},
        usage=usage,
        cost_usd=cost,
        input_cost_usd=input_cost,
        cost_without_usd=cost_without,
        optimizer_saved_usd=optimizer,
        rewrite_ms=1000 * exchange.seconds,
        ttfb_ms=1000 * exchange.first_byte,
        bytes_before=exchange.bytes_before,
        bytes_after=exchange.bytes_after,
        break_part=broken.part if broken else "",
        break_kind=broken.kind if broken else "",
        break_at=broken.at if broken else 0,
        break_tokens=again,
        break_usd=again_usd,
        detail=detail,
    )
