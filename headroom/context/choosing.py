"""Which units go."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from headroom.context.units import Unit

LAST_SHARE = 0.25
"""Of the budget: what the last units of a long turn may have together and still all stay."""
MOST_LEFT = 0.6
"""Of the budget: where more would be left after a step, what is recent goes too, but for the very last units."""
LAST_UNITS = 3
"""Units at the end that stay, however long they are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """``messages`` are those that go, rising; ``tokens`` is what remains of all."""

    messages: tuple[int, ...]
    tokens: int


def choose(
    units: Sequence[Unit],
    sizes: Sequence[int],
    scores: Sequence[float],
    budget: int,
    target: int,
    keep_turns: int,
    fixed: int = 0,
    gone: Collection[int] = (),
    tools_first: bool = False,
) -> Choice:
    """Let units go, the lowest scores first, until ``target`` tokens remain.

    ``sizes`` are tokens by message, ``fixed`` those outside the messages, ``gone`` the messages that have gone before.
    Within the last ``keep_turns`` turns nothing goes while ``MOST_LEFT`` of the budget or less is left without them: an
    agent works for hours in one turn, so there all but the user's words and the last units may go then. A user's words
    go with the last of their turn. With ``tools_first`` calls and their results go before anything that was said.
    """
    away = frozenset(gone)
    left = [number for number, unit in enumerate(units) if not away.issuperset(unit.messages)]
    total = {number: sum(sizes[message] for message in units[number].messages) for number in left}
    remaining = fixed + sum(total.values())
    turns = max((unit.turn for unit in units), default=-1) + 1
    guarded = {number for number in left if units[number].kind in ("fixed", "system")}
    last = _last(left, total, budget)
    recent = {n for n in left if n in last or units[n].turn >= turns - keep_turns}
    first = next((number for number in left if units[number].kind == "user"), None)
    outer = [n for n in left if n not in guarded and n not in recent and n != first]
    inner = [n for n in left if n not in guarded and n in recent and n not in last and units[n].kind != "user"]
    longest = [n for n in left[:-LAST_UNITS] if n in last and n not in guarded and units[n].kind != "user"]
    dropped: list[int] = []
    order = _order(units, scores, outer, set(left) - set(outer) - guarded, tools_first)
    remaining = _drop(order, total, remaining, target, dropped)
    earlier, most = 0, max(target, int(MOST_LEFT * budget))
    # else the next step, and with it the next break of the prefix, would not be far away
    for some, until in ((inner, target), (longest, most)):
        if remaining > most:
            earlier = len(dropped)
            remaining = _drop(_order(units, scores, some, set(), tools_first), total, remaining, until, dropped)
    goes = set(dropped)
    stays = {units[number].turn for number in left if number not in goes and units[number].kind == "user"}
    for number in reversed(dropped[:earlier]):  # what fits after all comes back, the best first
        if remaining + total[number] <= target and units[number].turn in stays:
            goes.remove(number)
            remaining += total[number]
    return Choice(tuple(sorted(message for number in goes for message in units[number].messages)), remaining)


def _last(left: Sequence[int], total: dict[int, int], budget: int) -> set[int]:
    """The units at the end that stay in any case."""
    last: set[int] = set()
    tokens = 0
    for number in reversed(left):
        tokens += total[number]
        if len(last) >= LAST_UNITS and tokens > LAST_SHARE * budget:
            break
        last.add(number)
    return last


def _order(
    units: Sequence[Unit], scores: Sequence[float], some: Sequence[int], stay: set[int], tools_first: bool
) -> list[int]:
    """In which order units go. A user's words are worth as much as the best of their turn."""
    best: dict[int, float] = {}
    for number in (*some, *stay):
        if units[number].kind != "user":
            worth = math.inf if number in stay else scores[number]
            best[units[number].turn] = max(best.get(units[number].turn, -math.inf), worth)

    def key(number: int) -> tuple[float, float, bool, int]:
        unit = units[number]
        said = unit.kind == "user"
        score = max(scores[number], best.get(unit.turn, -math.inf)) if said else scores[number]
        return (float(tools_first and unit.kind != "tools"), score, said, number)

    return sorted((n for n in some if key(n)[1] < math.inf), key=key)


def _drop(order: Sequence[int], total: dict[int, int], remaining: int, target: int, dropped: list[int]) -> int:
    for number in order:
        if remaining <= target:
            break
        dropped.append(number)
        remaining -= total[number]
    return remaining
