"""/metrics: the ledger's sums and this proxy's own times in Prometheus' text format."""

from collections.abc import Iterator
from threading import Lock

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headroom.api.figures import budget
from headroom.api.world import World
from headroom.ledger import Exchange, Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REWRITE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ANSWER_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Gathers when it is asked; histograms cover what this process saw, counters the whole ledger."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._registry = CollectorRegistry()
        self._registry.register(_Sums(world))
        self._rewrite = Histogram(
            "headroom_rewrite_seconds", "Time that a request waited for its rewriting.", registry=self._registry,
            buckets=REWRITE_SECONDS,
        )  # fmt: skip
        self._answer = Histogram(
            "headroom_first_byte_seconds", "Time from a request to the first byte of its answer.",
            registry=self._registry, buckets=ANSWER_SECONDS,
        )  # fmt: skip
        self._counted = 0
        self._lock = Lock()

    def text(self) -> bytes:
        with self._lock:
            for seen in self._world.live.since(self._counted):
                self._count(seen.row)
                self._counted = seen.number
            return generate_latest(self._registry)

    def _count(self, row: Exchange) -> None:
        if row.rewrite_ms:
            self._rewrite.observe(row.rewrite_ms / 1000)
        if row.ttfb_ms:
            self._answer.observe(row.ttfb_ms / 1000)


class _Sums(Collector):
    """The ledger's sums, by provider and model; of all proxies of the workspace."""

    def __init__(self, world: World) -> None:
        self._world = world

    def collect(self) -> Iterator[Metric]:
        ledger = self._world.ledger
        yield from _by_model(ledger.by("model"))
        sums = ledger.totals()
        saved = CounterMetricFamily("headroom_strategy_saved_tokens", "Tokens saved.", labels=["strategy"])
        for name, tokens in sorted(sums.saved_by_strategy.items()):
            saved.add_metric([name], tokens)
        yield saved
        yield GaugeMetricFamily("headroom_started_time_seconds", "When this proxy started.", self._world.started)
        used = GaugeMetricFamily(
            "headroom_plan_used_ratio", "How full a plan's window is, 0 to 1.", labels=["provider", "window"]
        )
        told: set[tuple[str, str]] = set()  # of several accounts the one that was heard of last
        for plan in self._world.subscriptions.plans():
            for window in plan.windows:
                if (plan.provider, window.name) not in told:
                    told.add((plan.provider, window.name))
                    used.add_metric([plan.provider, window.name], window.used)
        yield used
        spent = budget(self._world)
        yield GaugeMetricFamily("headroom_spent_today_usd", "USD billed today (UTC).", _number(spent["spent_usd"]))
        if spent["limit_usd"] is not None:
            yield GaugeMetricFamily("headroom_budget_usd", "USD that may be spent a day.", _number(spent["limit_usd"]))


def _by_model(rows: list[tuple[str, Totals]]) -> Iterator[Metric]:
    requests = CounterMetricFamily("headroom_requests", "Requests.", labels=["model"])
    rewritten = CounterMetricFamily("headroom_rewritten_requests", "Requests that were rewritten.", labels=["model"])
    failed = CounterMetricFamily("headroom_failed_requests", "Requests that failed here.", labels=["model"])
    before = CounterMetricFamily("headroom_request_tokens", "Estimated tokens before rewriting.", labels=["model"])
    saved = CounterMetricFamily("headroom_saved_tokens", "Tokens that were left out.", labels=["model"])
    billed = CounterMetricFamily("headroom_billed_tokens", "Tokens as billed.", labels=["model", "kind"])
    cost = CounterMetricFamily("headroom_cost_usd", "USD as billed.", labels=["model"])
    without = CounterMetricFamily("headroom_cost_without_usd", "USD without headroom.", labels=["model"])
    for model, sums in rows:
        name = [model or "unknown"]
        requests.add_metric(name, sums.requests)
        rewritten.add_metric(name, sums.rewritten)
        failed.add_metric(name, sums.errors)
        before.add_metric(name, sums.tokens_before)
        saved.add_metric(name, sums.tokens_saved)
        u = sums.usage
        kinds = {
            "input": u.input_tokens, "cache_write": u.cache_write_tokens, "cache_write_1h": u.cache_write_1h_tokens,
            "cache_read": u.cache_read_tokens, "output": u.output_tokens,
        }  # fmt: skip
        for kind, tokens in kinds.items():
            billed.add_metric([*name, kind], tokens)
        cost.add_metric(name, sums.cost_usd)
        without.add_metric(name, sums.cost_without_usd)
    yield from (requests, rewritten, failed, before, saved, billed, cost, without)


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
