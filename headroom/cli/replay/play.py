"""Recorded requests, one after another, through the engine that the proxy has, and what both ways would cost."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headroom.bookkeeping import MAKERS
from headroom.cli.output import new_table, print_json, print_table, share, usd
from headroom.cli.replay.caching import PrefixCache
from headroom.cli.replay.records import Recorded, Tally, read_records
from headroom.engine import Engine, RawRequest
from headroom.errors import HeadroomError, ValidationError
from headroom.ledger.cost import bill
from headroom.models import price_for
from headroom.session.memory import RamMemory
from headroom.wire.targets import model_from_path, parse_hosts
from headroom.wire.usage import Usage, UsageReader

MEMORY = 1_000_000
"""Decisions that are held: all of a recording."""


@dataclass(slots=True)
class Sums:
    """What requests came to: tokens of all requests as they were and as they would have been, and USD."""

    requests: int = 0
    rewritten: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    cost_without_usd: float = 0.0
    cost_usd: float = 0.0
    cache_read_without: int = 0
    cache_read: int = 0
    billed_requests: int = 0
    """Those whose answer says what it used; of them, as billed and as it is taken to have been:"""
    billed_usd: float = 0.0
    taken_usd: float = 0.0
    breaks: int = 0
    """Requests of which headroom would have made the provider read less from its cache than it did before, in all."""


@dataclass(slots=True)
class Replay:
    """What was replayed: in all and by session, tokens saved by strategy, and what was passed over."""

    all: Sums = field(default_factory=Sums)
    sessions: dict[str, Sums] = field(default_factory=dict)
    saved: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)


def replay_file(file: Path, hosts: str, as_json: bool) -> None:
    """Print what a recording would have cost with headroom. Raises HeadroomError."""
    found = play(file, parse_hosts(hosts))
    sums = found.all
    if not sums.requests:
        why = ", ".join(f"{number:,} {reason}" for reason, number in found.tally.passed_over.most_common())
        raise ValidationError(f"{file} has no model request that can be replayed ({why or 'it is empty'})", {})
    if as_json:
        data = {"file": str(file), "totals": asdict(sums), "saved_by_strategy": dict(found.saved.most_common())}
        each = [{"session": name, **asdict(one)} for name, one in found.sessions.items()]
        print_json({**data, "sessions": each, "passed_over": dict(found.tally.passed_over)})
        return
    table = new_table("", numbers=("as it was", "with headroom", "less"))
    rows = [
        ("tokens sent", f"{sums.tokens_before:,}", f"{sums.tokens_after:,}", (sums.tokens_before, sums.tokens_after)),
        ("cost", usd(sums.cost_without_usd), usd(sums.cost_usd), (sums.cost_without_usd, sums.cost_usd)),
    ]
    for name, before, after, (was, now) in rows:
        table.add_row(name, before, after, share(was - now, was))
    table.add_row("read from the cache", f"{sums.cache_read_without:,}", f"{sums.cache_read:,}", "")
    sessions = f"{len(found.sessions):,} session{'' if len(found.sessions) == 1 else 's'}"
    print(f"{sums.requests:,} requests of {sessions}, {sums.rewritten:,} of them rewritten")
    print_table(table)
    if found.saved:
        most = ", ".join(f"{name} {tokens:,}" for name, tokens in found.saved.most_common(8))
        print(f"\ntokens saved by strategy: {most}")
    if sums.billed_requests:
        off = share(sums.taken_usd - sums.billed_usd, sums.billed_usd)
        print(f"{sums.billed_requests:,} answers say what they were billed: {usd(sums.billed_usd)} in all,")
        print(f"{usd(sums.taken_usd)} by the rules that the figures above are made with ({off} off)")
    for reason, number in found.tally.passed_over.most_common():
        print(f"passed over: {number:,} {reason}")
    print("Nothing was sent anywhere. Prices are those of today; answers are taken to be the same.")


def play(file: Path, hosts: Mapping[str, str]) -> Replay:
    """Raises HeadroomError where the file can't be read."""
    found = Replay()
    now = 0.0
    engine = Engine(RamMemory(MEMORY), clock=lambda: now)
    caches: dict[tuple[str, str, bool], PrefixCache] = {}
    for one in read_records(file, hosts, found.tally):
        now = one.time
        try:
            body = json.loads(one.body)
            request = RawRequest(
                one.target.provider, one.target.shape, one.path, one.headers, one.body,
                model_from_path(one.path) or "", one.host,
            )  # fmt: skip
            rewrite = engine.rewrite(request)
            sent = json.loads(rewrite.body)
        except (HeadroomError, ValueError):
            found.tally.passed_over["no JSON that can be read"] += 1
            continue
        reader = _read(one)
        told = reader.usage
        price = price_for(MAKERS[one.target.shape], rewrite.model or (reader.model or ""))
        output = told.output_tokens if told else 0
        usages: list[Usage] = []
        for which, text in ((False, body), (True, sent)):
            key = (one.target.provider, rewrite.model, which)
            cache = caches.setdefault(key, PrefixCache(one.target.shape))
            usages.append(cache.bill(text, now, output))
        without, with_us = usages
        engine.settle(rewrite, with_us)
        for sums in (found.all, found.sessions.setdefault(rewrite.identity.session, Sums())):
            sums.requests += 1
            sums.rewritten += rewrite.body is not one.body
            sums.tokens_before += without.total_input
            sums.tokens_after += with_us.total_input
            sums.cost_without_usd += bill(without, price)
            sums.cost_usd += bill(with_us, price)
            sums.cache_read_without += without.cache_read_tokens
            sums.cache_read += with_us.cache_read_tokens
            sums.breaks += bool(without.cache_read_tokens) and not with_us.cache_read_tokens
            if told is not None:
                sums.billed_requests += 1
                sums.billed_usd += bill(told, price)
                sums.taken_usd += bill(without, price)
        found.saved.update({name: tokens for name, tokens in _new(rewrite.blocks).items() if tokens})
    return found


def _new(blocks: Any) -> Counter[str]:
    """What was saved in the blocks that were new: each counts once, however often it was sent."""
    saved: Counter[str] = Counter()
    for block in blocks:
        if block.new:
            saved.update(block.saved)
    return saved


def _read(one: Recorded) -> UsageReader:
    reader = UsageReader(one.target.shape, one.answer_type)
    reader.feed(one.answer)
    return reader
