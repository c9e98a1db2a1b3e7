"""What OpenTelemetry's instrumentation of urllib3 sees of a call: a span for each attempt."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import ReadableSpan, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from operations import OPERATIONS
from pytest_httpserver import HTTPServer

import stcloud
from stcloud.sandbox import Fault, Sandbox

Connect = Callable[..., stcloud.TokensApiControllerApi]

PATH = "/users-web/api/v3/apps/789/tokens"


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    """urllib3 is instrumented while the test runs; tracers are this provider's."""
    provider = TracerProvider()
    instrumentor = URLLib3Instrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield provider
    instrumentor.uninstrument()
    provider.shutdown()


@pytest.fixture
def exporter(provider: TracerProvider) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def tracer(provider: TracerProvider) -> Tracer:
    """The tracer of the program that uses the client."""
    tracer = provider.get_tracer("program")
    assert isinstance(tracer, Tracer)
    return tracer


def attributes(span: ReadableSpan) -> tuple[object, ...]:
    attributes = span.attributes or {}
    return tuple(attributes.get(f"http.{name}") for name in ("method", "url", "status_code"))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_call_is_a_span(
    sandbox: Sandbox, connect: Connect, exporter: InMemorySpanExporter, operation: str
) -> None:
    """Each operation makes one client span, with method, URL and status."""
    expected = OPERATIONS[operation]
    api = connect()
    api.create_app_token({}, 789)
    exporter.clear()
    getattr(api, operation)(*expected.arguments(789, 1001))
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.kind) == (expected.method, SpanKind.CLIENT)
    url = sandbox.url + expected.url_path(789, 1001)
    assert attributes(span) == (expected.method, url, 200)


@pytest.mark.parametrize(
    ("faults", "statuses"),
    [
        ([Fault.status(503)], [503, 200]),
        ([Fault.status(503), Fault.reset()], [503, None, 200]),
        ([Fault.reset()] * 4, [None] * 4),
        ([Fault.status(403)], [403]),
        ([Fault.status(302, {"Location": PATH})], [302]),
    ],
    ids=["retried", "retried twice", "lost", "refused", "redirected"],
)
def test_attempt_is_a_span(
    sandbox: Sandbox,
    connect: Connect,
    exporter: InMemorySpanExporter,
    faults: list[Fault],
    statuses: list[int | None],
) -> None:
    """There are as many spans as attempts; those without a response have the error."""
    api = connect()
    for fault in faults:
        sandbox.fail_next("get_app_tokens1", fault)
    if statuses[-1] == 200:
        api.get_app_tokens1(789)
    else:
        with pytest.raises(stcloud.ApiException) as raised:
            api.get_app_tokens1(789)
        assert raised.value.attempts == len(statuses)
    spans = exporter.get_finished_spans()
    url = sandbox.url + PATH
    assert [attributes(span) for span in spans] == [("GET", url, status) for status in statuses]
    for span, status in zip(spans, statuses, strict=True):
        failed = status is None or status >= 400
        assert (span.status.status_code is StatusCode.ERROR) == failed
        assert [event.name for event in span.events] == ["exception"] * (status is None)


def test_trace_goes_on_at_the_server(
    remote: stcloud.TokensApiControllerApi,
    respond: Callable[..., None],
    httpserver: HTTPServer,
    exporter: InMemorySpanExporter,
    tracer: Tracer,
) -> None:
    """The request names the attempt's span, which is a child of the program's."""
    respond('{"success": true}')
    with tracer.start_as_current_span("work") as work:
        remote.get_app_tokens1(789)
    assert [span.name for span in exporter.get_finished_spans()] == ["GET", "work"]
    attempt = exporter.get_finished_spans()[0]
    assert attempt.parent == work.get_span_context()
    (request, _), *_ = httpserver.log
    assert attempt.context is not None
    ids = f"{attempt.context.trace_id:032x}-{attempt.context.span_id:016x}"
    assert request.headers["traceparent"].startswith(f"00-{ids}-")


def test_trace_goes_on_in_the_background(
    api: stcloud.TokensApiControllerApi, exporter: InMemorySpanExporter, tracer: Tracer
) -> None:
    """A call with `async_req` belongs to the span in which it was made."""
    later: list[Any] = []
    parents = []
    for _ in range(2):  # the second finds the thread there
        with tracer.start_as_current_span("work") as work:
            parents.append(work.get_span_context())
            later.append(api.get_app_tokens1(789, async_req=True))
        later[-1].get(10)
    spans = [span for span in exporter.get_finished_spans() if span.name == "GET"]
    assert [span.parent for span in spans] == parents


def test_no_span_holds_a_secret(
    sandbox: Sandbox, connect: Connect, exporter: InMemorySpanExporter
) -> None:
    """Neither attributes nor events of a span have the key or a token's value."""
    api: Any = connect()
    secrets = {sandbox.api_key}
    secrets.add(api.create_app_token({}, 789).data.token.token)
    secrets.add(api.regenerate_app_token1(789, 1001).data.token.token)
    sandbox.fail_next("get_app_tokens1", Fault.hang_up())
    secrets.update(token.token for token in api.get_app_tokens1(789).data.tokens)
    assert len(exporter.get_finished_spans()) == 4
    text = "".join(str(span.to_json()) for span in exporter.get_finished_spans())
    assert [secret for secret in secrets if secret in text] == []


def test_nothing_is_traced_unasked(
    api: stcloud.TokensApiControllerApi, exporter: InMemorySpanExporter
) -> None:
    """The client itself makes no span."""
    URLLib3Instrumentor().uninstrument()
    api.get_app_tokens1(789)
    assert exporter.get_finished_spans() == ()
