"""Provider caching for clients that leave it unused: decisions on a scanned body, never a word changed.

    prefixes = Prefixes()                                     # one for the process
    history = prefixes.open(identity.session, layout, now)    # once a request, under any mode
    plan = optimize(layout, RequestFacts(host, client, session, now), history, settings)
    sent = history.sent(now)                                  # it leaves, in whatever form
    body = splice(layout.body, [*patches, *plan.patches])
    leave(plan, history, sent)                                # in this one; plan.as_it_came() if not
    ...                                                       # the answer has been read
    settle(plan, history, sent, usage, now)
    usd = accounting.saved(plan, usage, prices)               # a column of its own in the ledger

With ``CacheSettings(enabled=False)`` nothing is inserted, and the history goes on learning. ``plan.broken`` names what
the client changed in what it had sent before. ``history.cold(now)``, asked before ``history.sent``, says whether the
provider has nothing of this request cached.

Gemini caches by itself and takes no hint; its explicit caches are for programs that ask for them (``explicit``).
"""

from dataclasses import replace

from headroom.cache import anthropic, openai
from headroom.cache.economics import SECONDS
from headroom.cache.killers import PrefixBreak, find_break
from headroom.cache.order import length, position
from headroom.cache.plan import CacheSettings, Plan, RequestFacts
from headroom.session.prefix import PrefixHistory, Sent
from headroom.wire.layout import Layout
from headroom.wire.usage import Usage

__all__ = ["CacheSettings", "Plan", "PrefixBreak", "RequestFacts", "leave", "optimize", "settle"]
AUTOMATIC_SECONDS = 300.0
"""OpenAI keeps an entry that nobody reads for 5 minutes at least; Gemini does not say, and is taken to do the same."""
AUTOMATIC_LEAST = 1024
"""Tokens of the shortest prompt that either of them caches."""


def optimize(layout: Layout, facts: RequestFacts, history: PrefixHistory, settings: CacheSettings) -> Plan:
    """What is inserted into this request so that its prefix is cached, and what broke the prefix that it should have
    had. Changes nothing."""
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
    if not plan.tokens:
        plan = replace(plan, tokens=length(layout))
    if history.before is not None and not (history.continued and history.betas == facts.betas):
        broken = find_break(history.before, layout, (history.betas, facts.betas))
        if broken is not None:  # only what was cached is written again
            whole = length(history.before)
            again = max(0, broken.tokens + history.had - whole)
            plan = replace(plan, broken=replace(broken, tokens=round(again * history.billed / max(1, whole)) or again))
    return plan


def leave(plan: Plan, history: PrefixHistory, sent: Sent) -> None:
    """Note that a request leaves with what was planned."""
    if history.layout.shape == "anthropic":
        history.leaves(sent, SECONDS[plan.life] if plan.life else 0.0, plan.reach)
    elif plan.tokens >= AUTOMATIC_LEAST:
        history.leaves(sent, AUTOMATIC_SECONDS, plan.tokens)


def settle(plan: Plan, history: PrefixHistory, sent: Sent, usage: Usage, now: float) -> None:
    """Take in what the answer said it read and wrote."""
    history.answered(sent, usage, plan.expected, now)
    covered = usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    if covered and not plan.kind and _in_head(plan, history.layout):
        history.family.billed = history.head, covered


def _in_head(plan: Plan, layout: Layout) -> bool:
    """Whether the client set breakpoints, and only on tools and system prompt."""
    return 0 < plan.client_reach <= position(layout, layout.list_start)
