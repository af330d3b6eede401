"""``GatewayClock``: the offset of the gateway's clock from this process's, during a run.

A one-way time is a stamp of one clock minus a stamp of another. With one clock no offset is
needed. With two, the offset is measured when a run begins, every ``ASK_EACH_S`` and when it
ends, over a connection of its own. When the gateway does not stamp its pongs, the offset is
unknown and one-way times stay unmeasured. So they do with nodes whose clocks differ from each
other: one offset does not fit all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import gevent
from locust.env import Environment

from loadtests.errors import ClientError
from loadtests.health.clock_offset import DRIFT_PPM, Offset
from loadtests.health.target import fetch_clock_offset
from loadtests.plan.nodes import split_urls
from loadtests.reading.pushes import PushTable

ASK_EACH_S: Final = 10.0
"""A gateway allows ten pings in ten seconds; each measurement sends eight."""
NO_STAMPS: Final = "one-way times: the gateway has another clock, and its pong has no stamps"
SEVERAL_CLOCKS: Final = "one-way times: the nodes have several clocks"

_log = logging.getLogger(__name__)

Fetch = Callable[[str, str], Offset | None]


class GatewayClock:
    """Measures the offset of a gateway's clock until it is stopped.

    Args:
        url: ``http://HOST:PORT`` of the gateway, or ``URL,URL`` of its nodes.
        token: returns a token for one connection.
        is_ours: whether it reads the same clock as this process.
        fetch: measures an offset; tests replace it.

    Attributes:
        offset_ns: the gateway's clock minus ours; 0 for one clock, None when unknown.
        unmeasured: messages on what could not be measured.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        *,
        is_ours: bool,
        fetch: Fetch = fetch_clock_offset,
    ) -> None:
        self.offset_ns: int | None = 0 if is_ours else None
        self.unmeasured: set[str] = set()
        self._urls = split_urls(url)
        self._token = token
        self._is_ours = is_ours
        self._fetch = fetch
        self._found: list[tuple[int, Offset]] = []
        self._listeners: list[Callable[[int], None]] = []
        self._greenlet: gevent.Greenlet | None = None

    @property
    def has_one_clock(self) -> bool:
        """Whether all nodes are known to read one clock."""
        return self._is_ours or len(self._urls) == 1

    def start(self) -> None:
        """Measure now and regularly from then on. With one clock, do nothing."""
        if not self._is_ours:
            self.ask()
            self._greenlet = gevent.spawn(self._ask_on)

    def stop(self) -> None:
        """Measure a last time and stop. Idempotent."""
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
            self.ask()

    def _ask_on(self) -> None:
        while True:
            gevent.sleep(ASK_EACH_S)
            self.ask()

    def listen(self, listener: Callable[[int], None]) -> None:
        """Call ``listener`` with the offset, now if it is known and after each measurement."""
        self._listeners.append(listener)
        if self.offset_ns is not None:
            listener(self.offset_ns)

    def ask(self) -> None:
        """Measure the offset. After a failure the last offset stays valid."""
        try:
            each = [self._fetch(url, self._token()) for url in self._urls]
        except (ClientError, ValueError) as error:
            _log.warning("the gateway's clock could not be read: %s", error)
            if not self._found:
                self.unmeasured.add(f"one-way times: the gateway has another clock: {error}")
            return
        told = [found for found in each if found is not None]
        if len(told) < len(each):
            self.unmeasured.add(NO_STAMPS)
            return
        found = told[0]
        if any(
            abs(one.offset_ns - found.offset_ns) > one.error_ns + found.error_ns for one in told
        ):
            self.unmeasured.add(SEVERAL_CLOCKS)
            return
        self._found.append((time.monotonic_ns(), found))
        self.offset_ns = found.offset_ns
        for listener in self._listeners:
            listener(found.offset_ns)

    def error_ns(self, now_ns: int) -> int | None:
        """Return the largest possible error of the offset until now; None when unknown.

        Between two measurements the older offset is used, while the clocks may drift.
        """
        if self._is_ours:
            return 0
        if not self._found:
            return None
        ends_ns = [*(at_ns for at_ns, _ in self._found[1:]), now_ns]
        return max(
            found.error_ns + max(0, end_ns - at_ns) * DRIFT_PPM // 1_000_000
            for (at_ns, found), end_ns in zip(self._found, ends_ns, strict=True)
        )

    def moved_ns(self) -> int:
        """Return the largest difference between two successive offsets."""
        offsets_ns = [found.offset_ns for _, found in self._found]
        return max((abs(b - a) for a, b in pairwise(offsets_ns)), default=0)

    def describe(self, t0_ns: int, now_ns: int) -> dict[str, Any]:
        """Return what the manifest says of the offset, with all its measurements."""
        return {
            "offset_ns": self.offset_ns,
            "error_ns": self.error_ns(now_ns),
            "moved_ns": self.moved_ns(),
            "estimates": [
                {
                    "t_ns": at_ns - t0_ns,
                    "offset_ns": found.offset_ns,
                    "error_ns": found.error_ns,
                    "delay_ns": found.delay_ns,
                }
                for at_ns, found in self._found
            ],
        }


def time_pushes_by(environment: Environment, clock: GatewayClock) -> None:
    """Time an environment's pushes by the gateway's clock, once its offset is known."""
    intake = PushTable.of(environment).intake
    intake.offset_ns = None  # the offset of the last run may be another gateway's
    intake.contents.has_one_clock = clock.has_one_clock

    def take(offset_ns: int) -> None:
        intake.offset_ns = offset_ns

    clock.listen(take)


def widest_error_ns(errors_ns: list[int | None]) -> int | None:
    """Return the largest error bound of a run's processes; None when one has none."""
    known = [error_ns for error_ns in errors_ns if error_ns is not None]
    return max(known, default=0) if len(known) == len(errors_ns) else None
