from __future__ import annotations

import gevent
import pytest
from gevent.event import AsyncResult

from loadtests.connection.apart import do_apart, sleep_until


def test_work_apart_raises_to_who_waits_for_it() -> None:
    with pytest.raises(KeyError, match="deep"):
        do_apart(lambda: (_ for _ in ()).throw(KeyError("deep")))


def test_who_ends_the_waiting_greenlet_ends_the_work() -> None:
    worked: list[str] = []

    def work() -> None:
        try:
            gevent.sleep(60)
        finally:
            worked.append("ended")

    waiting = gevent.spawn(do_apart, work)
    gevent.sleep(0.01)
    waiting.kill()
    assert worked == ["ended"]


@pytest.mark.parametrize("is_early", [True, False], ids=["set before", "set after"])
def test_a_sleeper_wakes_with_what_is_set(is_early: bool) -> None:
    result = AsyncResult()
    if is_early:
        result.set("woken")
    sleeper = gevent.spawn(sleep_until, result)
    gevent.sleep(0.01)
    if not is_early:
        assert not sleeper.ready()
        result.set("woken")
    assert sleeper.get(timeout=5) == "woken"


def test_a_sleeper_that_is_killed_is_called_no_more() -> None:
    result = AsyncResult()
    sleeper = gevent.spawn(sleep_until, result)
    gevent.sleep(0.01)
    sleeper.kill()
    result.set("too late")
    gevent.sleep(0.01)
    assert sleeper.ready()
