"""``Witness``: a few clients on a running gateway, watched in rounds.

A round subscribes, publishes canaries, waits until everybody has what it is owed, unsubscribes,
publishes what nobody may get, and lets some clients drop and return. Then it closes the books.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Any, Final

import gevent
from gevent.pool import Group

from loadtests.errors import ClientError
from loadtests.health.target import fetch_clock_offset
from loadtests.oracles.membership import StreamCounts
from loadtests.oracles.snapshots import MarketContents
from loadtests.tokens import Tokens
from loadtests.watching.canaries import Canaries
from loadtests.watching.figures import Finding
from loadtests.watching.limit_checks import LimitChecks
from loadtests.watching.silent_peer import SilentPeer
from loadtests.watching.token_checks import TokenChecks
from loadtests.watching.witness_client import WitnessClient
from loadtests.watching.witness_metrics import WitnessMetrics

RETURNING: Final = 2
"""How many clients, the last ones, drop and return each round."""
RATE: Final = 2
"""The ``maxRate`` of the first client."""
_BEGIN_S: Final = 5.0
"""The first round waits so long for all clients."""
_SETTLE_S: Final = 4.0
"""How long a round waits for what is owed before it is lost."""
_TAIL_S: Final = 1.0
"""A round publishes until so long before its end: the rest of it takes about that."""
_POLL_S: Final = 0.02
_QUIET_S: Final = 0.3
"""How long a round listens for what nobody may get."""
_CLOCK_EACH_S: Final = 60.0
_TOKENS_EACH: Final = 3
"""Token checks are made in each third round."""
_BESIDE_S: Final = 10.0
"""Between two checks that take longer than a round, and run beside it."""
_PUBLISHER_S: Final = 3_600

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPlan:
    """What ``tidegate watch`` was asked for.

    Attributes:
        url: of the gateway.
        clients: how many clients to keep.
        symbols: others' symbols to watch too.
        every_s: length of a round, s.
        batches_per_s: batches of canaries a second.
        trading: whether canary orders also go to the room ``trading``.
        limits: whether to try the limits of events; needs the gateway's secret.
        leeway_s: the gateway's ``GATEWAY_TOKEN_LEEWAY_SECONDS``.
    """

    url: str
    clients: int
    symbols: tuple[str, ...]
    every_s: float
    batches_per_s: float
    trading: bool
    limits: bool
    leeway_s: int


class Witness:
    """Watches a gateway until it is stopped.

    Args:
        plan: what to do.
        tokens: the users' tokens, and the publisher's.
        metrics: takes everything that it sees.
        say: takes one JSON object for each round and each finding.

    Attributes:
        rounds: how many rounds were closed.
        closed_ns: when the last one was, monotonic; 0 before the first.
        has_seen: whether a round was closed with a client that was connected.
    """

    def __init__(self, plan: WatchPlan, tokens: Tokens, metrics: WitnessMetrics, say: Say) -> None:
        self.rounds = 0
        self.closed_ns = 0
        self.has_seen = False
        self._plan = plan
        self._tokens = tokens
        self._metrics = metrics
        self._say = say
        self._offset_ns: int | None = None
        self._asked_ns = 0
        self._epoch: object = None
        contents = MarketContents()
        self._clients = [
            WitnessClient(
                plan.url,
                tokens.user_id(index),
                partial(tokens.token, index),
                metrics=metrics,
                contents=contents,
                report=self._report,
                rate=RATE if index == 0 else None,
            )
            for index in range(plan.clients)
        ]
        users = [client.user_id for client in self._clients]
        own = [f"WITNESS/{users[0].upper()[-8:].strip('-._@|+=')}{letter}" for letter in "AB"]
        self._canaries: Canaries | None = None
        if tokens.publisher(_PUBLISHER_S) is not None:
            self._canaries = Canaries(
                plan.url,
                lambda: tokens.publisher(_PUBLISHER_S),
                symbols=own,
                users=users,
                metrics=metrics,
                trading=plan.trading,
            )
        self._symbols = [*(own if self._canaries else ()), *plan.symbols]
        self._checks: TokenChecks | None = None
        if tokens.secret is not None:
            self._checks = TokenChecks(
                plan.url, users[0], tokens.secret, plan.leeway_s, metrics, self._report
            )
        silent = SilentPeer(plan.url, users[0], partial(tokens.token, 0), metrics, self._report)
        self._beside: list[Callable[[], None]] = [silent.check]
        if plan.limits and tokens.secret is not None:
            own_user = f"{users[0]}-limits-{token_hex(3)}"
            limits = LimitChecks(plan.url, own_user, tokens.secret, metrics, self._report)
            self._beside.append(limits.check)
        self._lives = Group()

    @property
    def connected(self) -> int:
        """How many clients are connected."""
        return sum(client.is_on for client in self._clients)

    @property
    def publishes(self) -> bool:
        """Whether it publishes canaries."""
        return self._canaries is not None

    def watch(self, duration_s: float | None) -> None:
        """Watch for some seconds, one round at least; None watches until the greenlet is killed."""
        try:
            for client in self._clients:
                self._lives.spawn(client.live)
            for check in self._beside:
                self._lives.spawn(_repeat, check)
            self._wait_for(lambda: self.connected == len(self._clients), _BEGIN_S)
            start_ns = time.monotonic_ns()
            while duration_s is None or time.monotonic_ns() - start_ns < duration_s * 1e9:
                self._round()
        finally:
            self._lives.kill()
            for client in self._clients:
                client.close()
            if self._canaries is not None:
                self._canaries.close()

    def _round(self) -> None:
        end_ns = time.monotonic_ns() + round(self._plan.every_s * 1e9)
        self._metrics.connected(len(self._clients), self.connected)
        self._read_clock()
        checks = None
        if self._checks is not None and self.rounds % _TOKENS_EACH == 0:
            checks = self._lives.spawn(self._checks.check)
        present = [client for client in self._clients if client.is_on]
        self._all(present, lambda one: one.subscribe(self._symbols, trading=self._plan.trading))
        self._publish_until(end_ns - round((_QUIET_S + _TAIL_S) * 1e9))
        self._wait_for_all()
        self._all(present, lambda one: one.unsubscribe(self._symbols))
        if self._canaries is not None:
            self._canaries.market(self._offset_ns)
            self._return_some(self._canaries)
        gevent.sleep(_QUIET_S)
        self._wait_for_all()
        if checks is not None:
            checks.join()
        self._close_books()
        gevent.sleep(max(0.0, (end_ns - time.monotonic_ns()) / 1e9))

    def _publish_until(self, end_ns: int) -> None:
        step_s = 1 / self._plan.batches_per_s
        due_ns, turn = time.monotonic_ns(), 0
        while due_ns < end_ns:
            if self._canaries is not None and self.connected:
                self._canaries.market(self._offset_ns)
                owner = self._clients[turn % len(self._clients)].user_id
                self._canaries.private([owner], self._offset_ns)
            turn += 1
            due_ns += round(step_s * 1e9)
            gevent.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))

    def _return_some(self, canaries: Canaries) -> None:
        """Drop some clients, publish private events for them, and let them return."""
        leaving = [client for client in self._clients[-RETURNING:] if client.is_on]
        for client in leaving:
            client.drop()
        canaries.private([client.user_id for client in leaving], self._offset_ns)
        self._all(leaving, WitnessClient.enter)

    def _wait_for_all(self) -> None:
        self._wait_for(
            lambda: all(client.has_all(self._numbers()) for client in self._clients), _SETTLE_S
        )

    def _wait_for(self, condition: Callable[[], bool], longest_s: float) -> None:
        until_ns = time.monotonic_ns() + round(longest_s * 1e9)
        while not condition() and time.monotonic_ns() < until_ns:
            gevent.sleep(_POLL_S)

    def _numbers(self) -> dict[str, int]:
        """Return the last numbers of the canaries in the epoch that the clients are in."""
        self._follow_epoch()
        return {} if self._canaries is None else self._canaries.numbers

    def _close_books(self) -> None:
        now_ns, total = time.monotonic_ns(), StreamCounts()
        for client in self._clients:
            total.add(client.settle(self._numbers(), now_ns))
        self._metrics.delivered(total)
        self.rounds += 1
        self.has_seen = self.has_seen or self.connected > 0
        self.closed_ns = now_ns
        self._say({
            "time": _now(),
            "round": self.rounds,
            "connected": self.connected,
            "received": total.received,
            "lost": total.lost,
            "doubled": total.duplicate,
            "leaked": total.leaked,
            **self._metrics.end_round(),
            "reconnects": self._metrics.reconnects,
            "errors": self._metrics.errors,
            "findings": {name.value: n for name, n in sorted(self._metrics.findings.items())},
        })  # fmt: skip

    def _follow_epoch(self) -> None:
        """Forget the numbers of the last epoch once a client is welcomed in another."""
        for client in self._clients:
            if client.is_on and client.epoch != self._epoch:
                self._epoch = client.epoch
                if self._canaries is not None:
                    self._canaries.forget()

    def _read_clock(self) -> None:
        """Learn the offset of the gateway's clock: 0 where a welcome names ours."""
        now_ns = time.monotonic_ns()
        if any(client.offset_ns == 0 for client in self._clients if client.is_on):
            self._offset_ns = 0
        elif self.connected and now_ns - self._asked_ns > _CLOCK_EACH_S * 1e9:
            self._asked_ns = now_ns
            try:
                found = fetch_clock_offset(self._plan.url, self._tokens.probe())
            except (ClientError, ValueError):
                self._metrics.failed()  # the last offset stays
            else:
                self._offset_ns = None if found is None else found.offset_ns
        for client in self._clients:
            client.offset_ns = self._offset_ns

    def _all(self, clients: Sequence[WitnessClient], do: Callable[[WitnessClient], object]) -> None:
        gevent.joinall([self._lives.spawn(do, client) for client in clients], raise_error=True)

    def _report(self, finding: Finding, user_id: str, words: str) -> None:
        self._say({"time": _now(), "finding": finding.value, "user": user_id, "detail": words})


def _repeat(check: Callable[[], None]) -> None:
    while True:
        check()
        gevent.sleep(_BESIDE_S)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
