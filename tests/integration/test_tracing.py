"""Traces of publications, at a real OTLP receiver."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping

import pytest
from blackbox.process import GatewayProcess
from deadlines import until
from otlp_receiver import OtlpReceiver, otlp_receiver

from gateway.errors import SettingsError
from gateway.server import tracing
from gateway.server.checking import check_start

StartGateway = Callable[..., GatewayProcess]
SAMPLED, NOT_SAMPLED = "01", "00"


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as found:
        yield found


def traceparent(flags: str) -> tuple[str, str]:
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


def publish_twice(gateway: GatewayProcess, headers: Mapping[str, str]) -> None:
    item = {"room": "trading", "event": "halt", "data": {}}
    token = gateway.token(scope="publish")
    path = "/api/v1/publish"
    answer = gateway.request("POST", path, token=token, body=[item, item], headers=headers)
    assert answer.status == 202, answer.text


def test_a_traced_publication_is_one_span_up_to_the_end_of_its_fan_out(
    start_gateway: StartGateway, collector: OtlpReceiver
) -> None:
    gateway = start_gateway(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="50",
        GATEWAY_LOG_LEVEL="DEBUG",
    )
    trace_id, sampled = traceparent(SAMPLED)
    for header in (sampled, traceparent(NOT_SAMPLED)[1], "no trace", None):
        headers = {} if header is None else {"traceparent": header}
        publish_twice(gateway, headers)
    until(lambda: collector.spans, "the span of the sampled publication")
    assert gateway.stop() == 0
    (span,) = collector.spans
    facts = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
    assert (span.name, span.trace_id.hex()) == ("POST /api/v1/publish", trace_id)
    assert span.parent_span_id.hex() == sampled.split("-")[2]
    assert facts["http.response.status_code"] == 202
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert collector.services == {"tidegate"}
    told = [line for line in gateway.log_events() if line.get("trace_id") == trace_id]
    assert [line["event"] for line in told] == ["traced publication"]


def test_a_collector_that_is_away_does_not_hold_up_the_end(start_gateway: StartGateway) -> None:
    gateway = start_gateway(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    publish_twice(gateway, {"traceparent": traceparent(SAMPLED)[1]})
    assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("environ", "is_wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False),
    ],
    ids=["nothing", "endpoint", "traces endpoint", "exporter", "no exporter", "disabled"],
)
def test_the_variables_of_the_sdk_ask_for_traces(environ: dict[str, str], is_wanted: bool) -> None:
    assert tracing.is_wanted(environ) is is_wanted


def test_traces_without_the_packages_are_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda _name: None)
    asked = {"OTEL_TRACES_EXPORTER": "otlp"}
    with pytest.raises(SettingsError, match=r"tidegate\[otel\]"):
        tracing.make_tracing(asked)
    _, problems = check_start({"GATEWAY_ENV": "development", "PORT": "0", **asked})
    assert [problem for problem in problems if "tidegate[otel]" in problem]
