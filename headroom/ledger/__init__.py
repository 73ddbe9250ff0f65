"""The ledger: every exchange, what was saved and what it cost, net of caching. No content, no key."""

from headroom.ledger.row import Exchange
from headroom.ledger.store import Ledger, Totals

__all__ = ["Exchange", "Ledger", "Totals"]
