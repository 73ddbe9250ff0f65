"""Provider caching for clients that leave it unused: decisions on a scanned body, never a word changed.

    prefixes = Prefixes()                                     # one for the process
    history = prefixes.open(identity.session, layout, now)    # once a request, under any mode
    plan = optimize(layout, RequestFacts(host, client, session, now), history, settings)
    body = splice(layout.body, [*patches, *plan.patches])
    ...                                                       # the answer has been read
    settle(plan, history, usage, now)
    usd = accounting.saved(plan, usage, prices)               # a column of its own in the ledger

``optimize`` notes in the history what was sent, so it is called once a request; with ``CacheSettings(enabled=False)``
it inserts nothing and goes on learning. ``plan.broken`` names what the client changed in what it had sent before.
``history.cold(now)``, asked before ``optimize``, says whether the provider has nothing of this request cached.

Gemini caches by itself and takes no hint; its explicit caches are made by the library, not here.
"""

from dataclasses import replace

from headroom.cache import anthropic, openai
from headroom.cache.economics import SECONDS
from headroom.cache.killers import PrefixBreak, find_break
from headroom.cache.order import position
from headroom.cache.plan import CacheSettings, Plan, RequestFacts
from headroom.session.prefix import PrefixHistory
from headroom.wire.layout import Layout
from headroom.wire.usage import Usage

__all__ = ["CacheSettings", "Plan", "PrefixBreak", "RequestFacts", "optimize", "settle"]


def optimize(layout: Layout, facts: RequestFacts, history: PrefixHistory, settings: CacheSettings) -> Plan:
    """What is inserted into this request so that its prefix is cached, and what broke the prefix that it should have
    had. The history learns that it was sent."""
    match layout.shape:
        case "anthropic":
            plan = anthropic.plan(layout, facts, history, settings)
            head, billed = history.family.billed
            if head == history.head and _in_head(plan, layout):
                plan = replace(plan, client_billed=billed)
        case "openai-chat" | "openai-responses":
            plan = openai.plan(layout, facts, settings)
        case _:
            plan = Plan(reason="the provider caches by itself")
    if history.before is not None and not (history.continued and history.betas == facts.betas):
        plan = replace(plan, broken=find_break(history.before, layout, (history.betas, facts.betas)))
    history.sent(SECONDS[plan.life] if plan.life else 0.0, plan.reach, facts.now, facts.betas)
    return plan


def settle(plan: Plan, history: PrefixHistory, usage: Usage, now: float) -> None:
    """Take in what the answer said it read and wrote."""
    history.answered(usage, plan.expected, now)
    covered = usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    if covered and not plan.kind and _in_head(plan, history.layout):
        history.family.billed = history.head, covered


def _in_head(plan: Plan, layout: Layout) -> bool:
    """Whether the client set breakpoints, and only on tools and system prompt."""
    return 0 < plan.client_reach <= position(layout, layout.list_start)
