from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.contract import Channel, ErrorCode, LimitName
from gateway.limits.address_admission import AddressLimit
from gateway.metrics import METRIC_NAMES, GatewayMetrics, metrics_table


def series_of(metrics: GatewayMetrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.expose()[0].decode())
    return {
        f"{s.name}{sorted(s.labels.values())}": s.value
        for family in families
        for s in family.samples
    }


def test_the_names_are_a_closed_list() -> None:
    metrics = GatewayMetrics()
    families = text_string_to_metric_families(metrics.expose()[0].decode())
    names = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    assert names == METRIC_NAMES
    assert "_created" not in metrics.expose()[0].decode()


def test_nothing_that_happens_adds_a_name_or_a_series() -> None:
    metrics = GatewayMetrics()
    before = series_of(metrics).keys()
    metrics.client_connected()
    metrics.client_closed("alice was here", 3.0)
    metrics.message_in("alice's event")
    metrics.messages_out("alice's event", 2)
    metrics.messages_out("heartbeat", 2)
    metrics.fanned_out(1_000)
    metrics.collected(2, 0.01)
    metrics.limit_violated(LimitName.PING)
    metrics.authentication_failed(ErrorCode.TOKEN_EXPIRED)
    metrics.handler_failed()
    for reason in AddressLimit:
        metrics.address_refused(reason)
    assert series_of(metrics).keys() == before
    assert b"alice" not in metrics.expose()[0]


@pytest.mark.parametrize(
    ("act", "series", "value"),
    [
        (lambda m: m.client_connected(), "tidegate_clients[]", 1),
        (lambda m: m.message_in("ping"), "tidegate_messages_in_total['ping']", 1),
        (lambda m: m.messages_out("price:update", 7), "tidegate_messages_out_total['market']", 7),
        (lambda m: m.messages_out("order:filled", 7), "tidegate_messages_out_total['trading']", 7),
        (lambda m: m.messages_out("heartbeat", 7), "tidegate_messages_out_total['control']", 7),
        (lambda m: m.fanned_out(2_000_000_000), "tidegate_fanout_seconds_sum[]", 2),
        (
            lambda m: m.client_closed("ping timeout", 4),
            "tidegate_connections_closed_total['ping_timeout']",
            1,
        ),
        (lambda m: m.client_closed("", 4), "tidegate_connection_seconds_sum[]", 4),
        (lambda m: m.limit_violated(LimitName.USER), "tidegate_limit_violations_total['user']", 1),
        (
            lambda m: m.authentication_failed(ErrorCode.AUTH_MISSING),
            "tidegate_authentication_failures_total['AUTH_MISSING']",
            1,
        ),
        (
            lambda m: m.watch_subscriptions(lambda: {Channel.LLM: 5}),
            "tidegate_subscriptions['llm']",
            5,
        ),
        (lambda m: m.handler_failed(), "tidegate_handler_errors_total[]", 1),
    ],
)
def test_what_happens_is_counted(
    act: Callable[[GatewayMetrics], None], series: str, value: float
) -> None:
    metrics = GatewayMetrics()
    assert series_of(metrics)[series] != value
    act(metrics)
    assert series_of(metrics)[series] == value


MAXIMA: dict[str, Callable[[GatewayMetrics, float], None]] = {
    "tidegate_loop_lag_max_seconds[]": lambda metrics, value: metrics.loop_lagged(value),
    "tidegate_gc_pause_max_seconds[]": lambda metrics, value: metrics.collected(1, value),
    "tidegate_fanout_hold_max_seconds[]": lambda metrics, value: metrics.fanout_held(value),
}


@pytest.mark.parametrize("series", MAXIMA)
def test_a_maximum_is_that_of_the_last_full_window_and_the_current_one(series: str) -> None:
    metrics = GatewayMetrics()

    def read() -> float:
        told = {series_of(metrics)[series] for _ in range(2)}
        assert len(told) == 1, "a reader changed what the next one sees"
        return told.pop()

    assert read() == 0
    for value in (0.25, 0.5, 0.125):
        MAXIMA[series](metrics, value)
    assert read() == 0.5
    metrics.turn_window()
    assert read() == 0.5
    MAXIMA[series](metrics, 0.75)
    assert read() == 0.75
    metrics.turn_window()
    MAXIMA[series](metrics, 0.125)
    assert read() == 0.75
    metrics.turn_window()
    assert read() == 0.125
    metrics.turn_window()
    assert read() == 0


def test_reading_changes_nothing() -> None:
    metrics = GatewayMetrics()
    metrics.client_connected()
    metrics.message_in("ping")
    for note in MAXIMA.values():
        note(metrics, 0.5)
    own = [line for line in metrics.expose()[0].splitlines() if b"process_" not in line]
    assert own == [line for line in metrics.expose()[0].splitlines() if b"process_" not in line]


def test_the_table_names_every_metric() -> None:
    rows = metrics_table().splitlines()[2:]
    assert {row.split("`")[1] for row in rows} == METRIC_NAMES


def test_the_transport_and_its_loop_are_read_when_somebody_asks() -> None:
    metrics, sessions = GatewayMetrics(), ["a"]
    metrics.watch_transport(
        waiting_bytes=lambda: 7,
        waiting_sends=lambda: 8,
        conflated=lambda: 9,
        sent_bytes=lambda: 10,
        sessions=lambda: len(sessions),
        http_connections=lambda: 4,
        tasks=lambda: 3,
    )
    sessions.append("b")
    told = series_of(metrics)
    assert told["tidegate_sessions[]"] == 2
    assert told["tidegate_http_connections[]"] == 4
    assert told["tidegate_tasks[]"] == 3
    assert told["tidegate_queue_bytes[]"] == 7
    assert told["tidegate_sent_bytes_total[]"] == 10
