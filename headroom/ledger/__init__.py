"""The ledger: every exchange, what was saved and what it cost, net of caching. No content, no key."""

from headroom.ledger.row import Exchange
from headroom.ledger.store import Breaks, Ledger, SessionTotals
from headroom.ledger.totals import Totals

__all__ = ["Breaks", "Exchange", "Ledger", "SessionTotals", "Totals"]
