"""The gateway's clock where it is another: found again, bounded, or said to be unknown."""

from __future__ import annotations

import time

import gevent
import pytest
from deadlines import DEADLINE_S

from loadtests.errors import Unreachable
from loadtests.health import gateway_clock as gatewayclock
from loadtests.health.clock_offset import DRIFT_PPM, Offset
from loadtests.health.gateway_clock import (
    NO_STAMPS,
    SEVERAL_CLOCKS,
    GatewayClock,
    widest_error_ns,
)

S = 1_000_000_000


class Found:
    """Gives offsets in turn; the last one again and again."""

    def __init__(self, *offsets: Offset | Exception | None) -> None:
        self.offsets = list(offsets)
        self.asked = 0

    def __call__(self, _url: str, _token: str) -> Offset | None:
        found = self.offsets[min(self.asked, len(self.offsets) - 1)]
        self.asked += 1
        if isinstance(found, Exception):
            raise found
        return found


def offset(offset_ns: int, error_ns: int = 50) -> Offset:
    return Offset(offset_ns=offset_ns, error_ns=error_ns, delay_ns=2 * error_ns, exchanges=8)


def clock_of(*offsets: Offset | Exception | None, is_ours: bool = False) -> GatewayClock:
    return GatewayClock("http://h:1", lambda: "token", is_ours=is_ours, fetch=Found(*offsets))


def test_one_clock_is_not_asked_for_and_is_exact() -> None:
    clock = clock_of(Unreachable("h", "nobody asks"), is_ours=True)
    heard: list[int] = []
    clock.start()
    clock.listen(heard.append)
    clock.stop()
    assert (clock.offset_ns, clock.error_ns(5), heard) == (0, 0, [0])
    assert clock.describe(0, 5)["estimates"] == []
    assert clock.unmeasured == set()


def test_every_estimate_is_told_and_described() -> None:
    clock = clock_of(offset(700), offset(730, error_ns=90))
    heard: list[int] = []
    clock.start()
    clock.listen(heard.append)
    clock.stop()
    told = clock.describe(0, time.monotonic_ns())
    assert heard == [700, 730]
    assert [one["offset_ns"] for one in told["estimates"]] == [700, 730]
    assert (told["offset_ns"], told["moved_ns"]) == (730, 30)
    assert 90 <= told["error_ns"] < 90 + S * DEADLINE_S * DRIFT_PPM / 1e6


def test_the_bound_grows_with_what_the_clocks_may_drift_until_the_next_estimate() -> None:
    clock = clock_of(offset(700))
    clock.ask()
    asked_ns = clock.describe(0, 0)["estimates"][0]["t_ns"]
    assert clock.error_ns(asked_ns) == 50
    assert clock.error_ns(asked_ns + 10 * S) == 50 + 10 * S * DRIFT_PPM // 1_000_000


def test_it_is_asked_again_while_the_run_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatewayclock, "ASK_EACH_S", 0.01)
    clock = clock_of(offset(1), offset(2), offset(3))
    clock.start()
    deadline = time.monotonic() + DEADLINE_S
    while clock.offset_ns != 3:
        assert time.monotonic() < deadline
        gevent.sleep(0.005)
    clock.stop()


def test_a_question_that_fails_leaves_the_last_answer() -> None:
    clock = clock_of(offset(700), Unreachable("h", "away"))
    clock.start()
    clock.stop()
    assert clock.offset_ns == 700
    assert clock.unmeasured == set()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, NO_STAMPS),
        (Unreachable("h", "away"), "one-way times: the gateway has another clock: "),
        (ValueError("an answer before its question"), "before its question"),
    ],
    ids=["no stamps", "nobody there", "impossible"],
)
def test_a_clock_that_nobody_can_bound_is_said_to_be_unknown(
    answer: Offset | Exception | None, words: str
) -> None:
    clock = clock_of(answer)
    heard: list[int] = []
    clock.listen(heard.append)
    clock.start()
    clock.stop()
    assert (clock.offset_ns, clock.error_ns(5), heard) == (None, None, [])
    assert any(words in said for said in clock.unmeasured)


@pytest.mark.parametrize(
    ("errors_ns", "widest_ns"), [([0], 0), ([3, 9, 4], 9), ([3, None], None), ([], 0)]
)
def test_the_bound_of_a_run_is_that_of_its_worst_process(
    errors_ns: list[int | None], widest_ns: int | None
) -> None:
    assert widest_error_ns(errors_ns) == widest_ns


def test_nodes_with_several_clocks_leave_one_way_times_unmeasured() -> None:
    found = Found(offset(700), offset(900_000))
    clock = GatewayClock("http://a:1,http://b:1", lambda: "token", is_ours=False, fetch=found)
    clock.ask()
    assert (clock.offset_ns, clock.unmeasured) == (None, {SEVERAL_CLOCKS})
    assert not clock.has_one_clock


def test_nodes_on_one_other_host_have_one_offset() -> None:
    found = Found(offset(700), offset(720))
    clock = GatewayClock("http://a:1,http://a:2", lambda: "token", is_ours=False, fetch=found)
    clock.ask()
    assert (clock.offset_ns, clock.unmeasured) == (700, set())
