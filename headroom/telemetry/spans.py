"""A span of each exchange for OpenTelemetry, by its conventions for generative AI; needs the extra ``otel``.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (in development): an inference is a span of kind CLIENT
that is named by operation and model. Numbers and names as in the ledger, nothing of what was said. Where spans go is
for OpenTelemetry's own variables: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME and so on.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from headroom import __version__
from headroom.errors import ConfigurationError
from headroom.ledger import Exchange

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

PROVIDERS: Mapping[str, str] = {"gemini": "gcp.gemini", "vertex": "gcp.vertex_ai", "azure": "azure.ai.openai"}
"""What the conventions call providers that have another name here."""
OPERATIONS: Mapping[str, str] = {"generate": "generate_content", "stream_generate": "generate_content"}
FLUSH_MILLISECONDS = 2_000
"""So long the end of a proxy waits for a collector that does not answer."""
_NANO = 1_000_000_000


def check_installed() -> None:
    """Raises ConfigurationError when the extra is missing."""
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.http") and find_spec("opentelemetry.sdk")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ConfigurationError(
            "headroom_otel is set, and OpenTelemetry is not installed: pip install 'headroom-ai[otel]'",
            {"setting": "headroom_otel", "value": True, "allowed": "the extra otel"},
        )


class Spans:
    """Sends spans in a thread of its own; any thread may use it. A collector that can't be reached costs nothing."""

    def __init__(self, exporter: "SpanExporter | None" = None) -> None:
        """``exporter`` is OTLP over HTTP where none is given. Raises ConfigurationError when the extra is missing."""
        check_installed()
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        about = {"service.version": __version__, **({} if named else {"service.name": "headroom"})}
        # this provider is ours alone: a program's own tracing is not touched
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(timeout=5)))
        self._tracer = self._provider.get_tracer("headroom", __version__)

    def record(self, row: Exchange, seconds: float, traceparent: str = "") -> None:
        """A span of an exchange that took so many seconds; below the client's own span where its request named one.

        Counting tokens is no inference and gets none.
        """
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        from opentelemetry.trace.status import Status, StatusCode

        if row.kind == "count_tokens":
            return
        operation = OPERATIONS.get(row.kind, "chat")
        context = TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent else None
        span = self._tracer.start_span(
            f"{operation} {row.model}".strip(),
            context,
            SpanKind.CLIENT,
            {"gen_ai.operation.name": operation, **attributes(row)},
            start_time=int(row.time * _NANO),
        )
        if (error := error_type(row)) is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR, row.reason or None))
        span.end(int((row.time + max(seconds, 0.0)) * _NANO))

    def close(self) -> None:
        """Send what waits, if that goes quickly."""
        self._provider.force_flush(FLUSH_MILLISECONDS)
        self._provider.shutdown()


def attributes(row: Exchange) -> dict[str, Any]:
    """An exchange under the names of the conventions, and under ``headroom.`` what they have no name for."""
    found: dict[str, Any] = {
        "gen_ai.provider.name": PROVIDERS.get(row.provider, row.provider),
        "gen_ai.request.model": row.model,
        "gen_ai.conversation.id": row.session,
        "headroom.client": row.client,
        "headroom.project": row.project,
    }
    found = {name: value for name, value in found.items() if value}
    if row.status:
        found["http.response.status_code"] = row.status
    if row.ttfb_ms:
        found["gen_ai.response.time_to_first_chunk"] = row.ttfb_ms / 1000
    if row.usage is not None:
        usage = row.usage
        found |= {
            "gen_ai.usage.input_tokens": usage.total_input,  # the conventions count what was cached in
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
        }
    found |= {
        "headroom.outcome": row.outcome,
        "headroom.mode": row.mode,
        "headroom.tokens_before": row.tokens_before,
        "headroom.tokens_after": row.tokens_after,
        "headroom.tokens_saved": row.tokens_saved,
        "headroom.rewrite_seconds": row.rewrite_ms / 1000,
    }
    if row.cost_usd is not None and row.cost_without_usd is not None:
        found |= {"headroom.cost_usd": row.cost_usd, "headroom.cost_without_usd": row.cost_without_usd}
    return found


def error_type(row: Exchange) -> str | None:
    """What went wrong, as a word of low cardinality; None when nothing did."""
    if row.status >= 400:
        return str(row.status)
    return "headroom_error" if row.outcome == "error" else None
