"""Spans by the conventions for generative AI."""

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import StatusCode

from headroom.errors import ConfigurationError
from headroom.telemetry import spans as spans_module
from headroom.telemetry.spans import Spans, attributes
from headroom.wire.usage import Usage
from tests.ledger.rows import exchange
from tests.support.collector import collecting
from tests.support.proxy import free_port

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def recorded(*arguments: object, **fields: object) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    spans = Spans(exporter)
    spans.record(exchange(**fields), 2.5, *map(str, arguments))
    spans.close()
    [span] = exporter.get_finished_spans()
    return span


def test_a_span_is_named_by_operation_and_model_and_lasts_as_long_as_the_exchange() -> None:
    span = recorded(time=1_790_000_000.0)
    assert (span.name, span.kind) == ("chat claude-sonnet-4-5", SpanKind.CLIENT)
    assert (span.start_time, span.end_time) == (1_790_000_000_000_000_000, 1_790_000_002_500_000_000)
    assert span.resource.attributes["service.name"] == "headroom"
    assert span.parent is None and span.status.status_code is StatusCode.UNSET


def test_usage_is_told_as_the_conventions_count_it() -> None:
    span = recorded(usage=Usage(4, 500, 20, 40_000, 300), session="s1")
    told = span.attributes
    assert told is not None
    assert told["gen_ai.usage.input_tokens"] == 40_524
    assert told["gen_ai.usage.cache_read.input_tokens"] == 40_000
    assert told["gen_ai.usage.cache_creation.input_tokens"] == 520
    assert told["gen_ai.usage.output_tokens"] == 300
    assert (told["gen_ai.provider.name"], told["gen_ai.conversation.id"]) == ("anthropic", "s1")
    assert told["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.8)
    assert (told["headroom.tokens_saved"], told["headroom.cost_usd"]) == (300, 0.02)


def test_every_name_of_the_conventions_is_one_of_theirs() -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    told = {name for name in attributes(exchange()) if name.startswith("gen_ai.")} | {"gen_ai.operation.name"}
    assert told <= known
    providers = {member.value for member in gen_ai_attributes.GenAiProviderNameValues}
    for ours in ("anthropic", "openai", "gemini", "vertex", "azure"):
        assert attributes(exchange(provider=ours))["gen_ai.provider.name"] in providers
    operations = {member.value for member in gen_ai_attributes.GenAiOperationNameValues}
    for kind in ("messages", "chat", "responses", "generate", "stream_generate"):
        assert (recorded(kind=kind).attributes or {})["gen_ai.operation.name"] in operations


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"status": 529, "reason": "overloaded_error"}, "529"), ({"outcome": "error", "status": 0}, "headroom_error")],
)
def test_what_went_wrong_is_told(fields: dict[str, object], error: str) -> None:
    span = recorded(**fields)
    assert (span.attributes or {})["error.type"] == error and span.status.status_code is StatusCode.ERROR


def test_it_stands_below_the_clients_own_span() -> None:
    span = recorded(f"00-{TRACE}-{PARENT}-01")
    assert span.parent is not None and span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE and f"{span.parent.span_id:016x}" == PARENT
    assert recorded("nonsense").parent is None


def test_counting_tokens_is_no_inference() -> None:
    exporter = InMemorySpanExporter()
    spans = Spans(exporter)
    spans.record(exchange(kind="count_tokens"), 0.1)
    spans.close()
    assert exporter.get_finished_spans() == ()


def test_a_service_may_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "our-proxy")
    assert recorded().resource.attributes["service.name"] == "our-proxy"


def test_a_collector_gets_them_over_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans_module, "FLUSH_MILLISECONDS", 30_000)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        spans = Spans()
        spans.record(exchange(), 1.0)
        spans.close()
    assert [span.name for span in collector.spans] == ["chat claude-sonnet-4-5"]
    assert collector.paths == ["/v1/traces"]


def test_a_collector_that_is_not_there_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    spans = Spans()
    spans.record(exchange(), 1.0)
    spans.close()


def test_what_is_missing_is_told_when_it_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'headroom-ai\[otel\]'"):
        Spans()
