"""`headroom stats` and `headroom sessions`: sums from the ledger."""

import datetime
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from headroom import paths
from headroom.cli.output import moment, new_table, print_json, print_table, share, sparkline, usd
from headroom.cli.plans import plans, print_plans
from headroom.cli.store import chosen_store
from headroom.errors import StorageError
from headroom.ledger import Breaks, Ledger, Totals

NUMBERS = ("requests", "rewritten", "tokens before", "saved", "share", "billed", "without us", "net saving")

MOST_BREAKS = 8
DAYS = 14
"""Days, the last one today, of which a line of bars is drawn."""


def show_stats(since: str, by: str | None, as_json: bool) -> None:
    """Print the sums ``since`` today, 7d or all, in all or ``by`` a column. Raises StorageError."""
    begin = begin_of(since)
    with ledger() as open_ledger:
        sums = open_ledger.totals(since=begin)
        groups = open_ledger.by(by, begin) if by else []
        breaks = open_ledger.breaks(begin)
        days = by_day(open_ledger, DAYS)
    known = plans()
    if as_json:
        named = {"by": by, "groups": [{"name": name, **as_data(part)} for name, part in groups]} if by else {}
        print_json(
            {
                "since": since,
                "since_unix": begin,
                "totals": as_data(sums),
                "days": [{"day": day, "saved_usd": s.saved_usd, "tokens_saved": s.tokens_saved} for day, s in days],
                "breaks": [asdict(one) for one in breaks],
                "plans": [asdict(plan) for plan in known],
                **named,
            }
        )
    elif not sums.requests:
        print("no request" if since == "all" else f"no request since {moment(begin)}")
    elif by:
        table = new_table(by, numbers=NUMBERS)
        for name, part in groups:
            table.add_row(name or "-", *_figures(part))
        table.add_section()
        table.add_row("all", *_figures(sums))
        print_table(table)
    else:
        _print_sums(sums)
        saved = [day_sums.saved_usd for _, day_sums in days]
        print(f"\nnet saving, {DAYS} days  {sparkline(saved)}  {usd(max(saved))} at the most")
        if breaks:
            _print_breaks(breaks)
        if known:
            print_plans(known)


def show_sessions(limit: int, as_json: bool) -> None:
    """Print the newest sessions. Raises StorageError."""
    with ledger() as open_ledger:
        found = open_ledger.sessions(limit)
    if as_json:
        print_json(
            [{"session": s.session, "began": s.began, "last": s.last, **_without_strategies(s.totals)} for s in found]
        )
    elif not found:
        print("no session")
    else:
        table = new_table("session", "began", "last", numbers=NUMBERS)
        for one in found:
            table.add_row(one.session, moment(one.began), moment(one.last), *_figures(one.totals))
        print_table(table)


@contextmanager
def ledger() -> Iterator[Ledger]:
    """The workspace's ledger. Raises StorageError when it can't be read."""
    path, store = paths.ledger_path(), chosen_store()
    if not path.exists() and not store:
        raise StorageError(f"there is no ledger at {path}: nothing has gone through the proxy yet", {"path": str(path)})
    found = Ledger(path)
    try:
        if found.problem is not None:
            raise StorageError(f"{path} can't be read: {found.problem}", {"path": str(path)})
        if store:
            _take_in(found, store, path.parent)
        yield found
    finally:
        found.close()


def _take_in(found: Ledger, store: str, workspace: Path) -> None:
    """Read what other proxies have told the store; without it the figures are those that are known here."""
    from headroom.ledger.shared import share  # the drivers take a while to load

    shared = share(found, store, workspace)
    if shared is None:
        return
    try:
        shared.sync()
    except StorageError as error:
        print(f"{error.message}; the figures are those of this machine", file=sys.stderr)
    finally:
        shared.close()


def as_data(sums: Totals) -> dict[str, object]:
    """The sums for programs; tokens, and USD where the name says so."""
    return {**asdict(sums), "saved_usd": sums.saved_usd, "compression_saved_usd": sums.compression_saved_usd}


def _without_strategies(sums: Totals) -> dict[str, object]:
    """A session's sums are kept without them."""
    return {name: value for name, value in as_data(sums).items() if name != "saved_by_strategy"}


def begin_of(since: str) -> float:
    """Unix seconds at which ``today``, ``7d`` or ``all`` begins."""
    if since == "all":
        return 0.0
    now = time.time()
    if since == "7d":
        return now - 7 * 86400
    return time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))


def by_day(open_ledger: Ledger, number: int) -> list[tuple[str, Totals]]:
    """The newest days of local time (``2026-01-02``), today last, with their sums; those without a request too."""
    today = datetime.date.today()
    days = {(today - datetime.timedelta(back)).isoformat(): Totals() for back in reversed(range(number))}
    for hour, sums in open_ledger.hours(24 * number):
        day = datetime.datetime.fromisoformat(hour).astimezone().date().isoformat()
        if day in days:
            days[day] += sums
    return list(days.items())


def _figures(sums: Totals) -> tuple[str, ...]:
    whole = (sums.requests, sums.rewritten, sums.tokens_before, sums.tokens_saved)
    money = (sums.cost_usd, sums.cost_without_usd, sums.saved_usd)
    return (*(f"{n:,}" for n in whole), share(sums.tokens_saved, sums.tokens_before), *map(usd, money))


def _print_sums(sums: Totals) -> None:
    u = sums.usage
    table = new_table("", numbers=("", "share"))
    table.show_header = False
    rows = [
        ("requests", f"{sums.requests:,}", ""),
        ("  rewritten", f"{sums.rewritten:,}", share(sums.rewritten, sums.requests)),
        ("  failed", f"{sums.errors:,}", share(sums.errors, sums.requests)),
        ("tokens before", f"{sums.tokens_before:,}", ""),
        ("  saved", f"{sums.tokens_saved:,}", share(sums.tokens_saved, sums.tokens_before)),
        *((f"    {name}", f"{n:,}", "") for name, n in _most_first(sums)),
        ("  could be saved (audit)", f"{sums.tokens_savable:,}", share(sums.tokens_savable, sums.tokens_before)),
        ("billed", usd(sums.cost_usd), ""),
        ("  tokens read from the cache", f"{u.cache_read_tokens:,}", share(u.cache_read_tokens, u.total_input)),
        ("  written to it", f"{u.cache_write_tokens + u.cache_write_1h_tokens:,}", ""),
        ("  other input", f"{u.input_tokens:,}", ""),
        ("  output", f"{u.output_tokens:,}", ""),
        ("without us", usd(sums.cost_without_usd), ""),
        ("net saving", usd(sums.saved_usd), share(sums.saved_usd, sums.cost_without_usd)),
        ("  by using the cache", usd(sums.optimizer_saved_usd), ""),
        ("  by fewer tokens", usd(sums.compression_saved_usd), ""),
    ]
    for row in rows:
        table.add_row(*row)
    print_table(table)


def _print_breaks(breaks: Sequence[Breaks]) -> None:
    """What kept prefixes from being read from the provider's cache."""
    table = new_table("changed by the client", "what", numbers=("times", "tokens billed again", "USD"))
    for one in breaks[:MOST_BREAKS]:
        table.add_row(one.part, one.kind, f"{one.times:,}", f"{one.tokens:,}", usd(one.usd))
    print_table(table)


def _most_first(sums: Totals) -> list[tuple[str, int]]:
    return sorted(sums.saved_by_strategy.items(), key=lambda item: -item[1])
