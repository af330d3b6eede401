from __future__ import annotations

from manual_clock import ManualClock
from structlog.testing import capture_logs

from gateway.server.faults import FaultLog


def test_faults_beyond_the_rate_are_counted_and_summed_up_once() -> None:
    clock = ManualClock()
    faults = FaultLog(clock)
    with capture_logs() as lines:
        for number in range(25):
            faults.note("session refused", address="192.0.2.1", number=number)
        faults.sum_up()
        assert len(lines) == 20
        assert lines[0]["event"] == "session refused"
        assert lines[0]["log_level"] == "warning"
        assert lines[0]["address"] == "192.0.2.1"
        clock.advance(11)
        faults.sum_up()
        faults.sum_up()
    assert [(line["fault"], line["left_out"]) for line in lines[20:]] == [("session refused", 5)]


def test_the_next_line_tells_how_many_were_left_out_before_it() -> None:
    clock = ManualClock()
    faults = FaultLog(clock)
    with capture_logs() as lines:
        for _ in range(25):
            faults.note("event refused", level="info", code="UNKNOWN_EVENT")
        clock.advance(11)
        faults.note("event refused", level="info", code="UNKNOWN_EVENT")
    assert lines[-1]["left_out"] == 5
    assert lines[-1]["log_level"] == "info"
    assert "left_out" not in lines[0]
