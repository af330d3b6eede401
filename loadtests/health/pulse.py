"""``Pulse``: the periodic work of a run in gevent's loop: flush, tick and probe.

The flush writes the record once a second, the tick measures the loop's lag every 10 ms, and the
probe waits for the gateway's figures without delaying the other two. Deadlines are absolute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import gevent

from loadtests.health.generator_probe import GeneratorProbe, TickClock
from loadtests.health.server_probe import FANOUT_MEAN
from loadtests.record.recording import SECOND_NS, Recorder
from loadtests.record.second_seen import SecondSeen
from loadtests.results import Series

TARGET_LOST_S: Final = 5
BREATH_S: Final = 0.002
"""The pause between steps of a flush, in s: with a sleep of 0 no socket would be read."""
NO_SHARE: Final = "generator's own share of a push: no kernel receive stamp was read"

_log = logging.getLogger(__name__)


ReadGateway = Callable[[], tuple[int, dict[str, object]]]
"""Waits for the gateway's figures of a second; returns when they were read, monotonic ns, and the
figures. Raises OSError when the gateway did not answer in this second."""


class Pulse:
    """Runs the periodic work until ``stop``.

    Args:
        recorder: flushed each second.
        read_gateway: reads the gateway; None where another process does.
        generator: probe of this process; None in a process that generates no load.
        on_second: called after each flush with its second.
        on_lost: called with a message when the target stays silent or this work fails.

    Attributes:
        target_lost: whether the target has stopped answering.
    """

    def __init__(
        self,
        recorder: Recorder,
        read_gateway: ReadGateway | None,
        generator: GeneratorProbe | None,
        *,
        on_second: Callable[[SecondSeen], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self.recorder = recorder
        self.read_gateway = read_gateway
        self.generator = generator
        self.on_second = on_second
        self.on_lost = on_lost
        self.target_lost = False
        self._server_now: Mapping[str, object] = {}
        self._greenlets: list[gevent.Greenlet] = []

    def start(self) -> None:
        """Start the greenlets."""
        works: list[Callable[[], None]] = [self._pump]
        if self.generator is not None:
            self.generator.unmeasured.add(NO_SHARE)  # until the first one is read
            works.append(self._tick)
        if self.read_gateway is not None:
            works.append(partial(self._probe, self.read_gateway))
        self._greenlets += [gevent.spawn(self._guard, work) for work in works]

    def stop(self) -> None:
        """End the greenlets, except one that calls this: it ends when it returns."""
        gevent.killall([g for g in self._greenlets if g is not gevent.getcurrent()])
        self._greenlets.clear()
        if self.generator is not None:
            self.generator.close()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - after any error the record has a hole, and the run must end
            _log.exception("the record of the run broke")
            self.on_lost(f"the record of the run broke: {type(error).__name__}: {error}")

    def _pump(self) -> None:
        due_ns = self.recorder.t0_ns
        while True:
            second_ns, due_ns = due_ns, due_ns + SECOND_NS
            sleep_until(due_ns)
            seen = self.recorder.begin_flush(time.monotonic_ns())
            while self.recorder.flush_step():
                gevent.sleep(BREATH_S)
            if self.generator is not None:
                self._record_generator(self.generator, seen, second_ns)
            seen.server = self._server_now
            self.on_second(seen)

    def _record_generator(
        self, generator: GeneratorProbe, seen: SecondSeen, second_ns: int
    ) -> None:
        figures = generator.read()
        figures["loop_lag_max_ns"] = seen.worst_ns(Series.LOOP_LAG)
        figures["schedule_delay_max_ns"] = seen.worst_ns(Series.SCHEDULE_DELAY)
        figures["share_max_ns"] = seen.worst_ns(Series.GENERATOR_SHARE)
        if figures["share_max_ns"] is not None:
            generator.unmeasured.discard(NO_SHARE)
        self.recorder.row("generator", second_ns, figures)
        seen.generator = figures

    def _tick(self) -> None:
        ticks = TickClock(time.monotonic_ns())
        while True:
            sleep_until(ticks.due_ns)
            now_ns = time.monotonic_ns()
            for lag_ns in ticks.take_lags(now_ns):
                self.recorder.span(Series.LOOP_LAG, lag_ns, now_ns)

    def _probe(self, read: ReadGateway) -> None:
        silent = 0
        while True:
            try:
                at_ns, figures = read()
                silent = 0
            except OSError as error:
                at_ns, figures = time.monotonic_ns(), {}
                silent += 1
                if silent == TARGET_LOST_S:
                    self.target_lost = True
                    self.on_lost(f"the target has not answered for {TARGET_LOST_S} s: {error}")
            fanout_ns = figures.pop(FANOUT_MEAN, None)
            if isinstance(fanout_ns, int):
                self.recorder.span(Series.GATEWAY_FANOUT, fanout_ns, at_ns)
            self._server_now = figures
            self.recorder.row("server", at_ns, figures)
            lag_ns = figures.get("loop_lag_ns")
            if isinstance(lag_ns, int):
                self.recorder.span(Series.GATEWAY_LAG, lag_ns, at_ns)


def sleep_until(due_ns: int) -> None:
    """Sleep until a time, monotonic, while other greenlets run."""
    gevent.sleep(max(0, due_ns - time.monotonic_ns()) / SECOND_NS)
