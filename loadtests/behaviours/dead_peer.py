"""The virtual user that stops answering, and measures when the gateway notices."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from locust.env import Environment

from gateway.contract import MAX_SEND_SECONDS, Channel, ClientEvent
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.errors import ClientError
from loadtests.oracles.closing_bands import Band, predict_band
from loadtests.results import DeadPeerOutcome, Event, Series
from scenarios.groups import DeadPeerGroup, DeadPeerKind

SMALL_BUFFER_BYTES: Final = 4_096
"""The receive buffer of a stalled peer; the kernel doubles it."""
_ASKS: Final = 50  # requests at once, of the 60 events a minute that a connection has
_HELD: Final = tuple(f"STALLED{number:025d}" for number in range(64))
"""Symbols without trades. They make each answer 6 KB, sent twice: 50 answers far exceed 64 KiB."""
_PONG_EACH_NS: Final = 100_000_000
_ASK_EACH_NS: Final = 1_100_000_000  # a connection has 60 events a minute
_SERIES: Final[Mapping[DeadPeerKind, Series]] = {
    "mute": Series.DEAD_PEER_MUTE,
    "no-pong": Series.DEAD_PEER_NO_PONG,
    "stalled": Series.DEAD_PEER_STALLED,
}


class DeadPeer(VirtualUser):
    """Stops answering some time after its welcome, and waits for the end of its connection.

    The end is judged by the band that its handshake predicts (``loadtests.oracles.closing_bands``).
    Then it reconnects and stops answering again.
    """

    group = "dead_peer"
    is_well_behaved = False
    has_fixed_count = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = self.run_context.scenario.users.of(DeadPeerGroup)
        self.kind: DeadPeerKind = settings.kind(self.run_context.places.newest(self.group))
        self._dies_after_ns = round(settings.dies_after_s * 1e9)
        wait_s = self.run_context.gateway_setting("GATEWAY_MAX_SEND_SECONDS", MAX_SEND_SECONDS)
        self._max_send_ns = round(wait_s * 1e9)
        self._died_ns: int | None = None
        self._band = Band(0, 0)
        if self.kind == "stalled":
            self.receive_buffer_bytes = SMALL_BUFFER_BYTES

    def subscribe_all(self) -> None:
        """Hold symbols that make a stalled peer's answers long."""
        if self.kind == "stalled":
            payload = {"channel": Channel.MARKET_DATA, "symbols": list(_HELD)}
            self.request(ClientEvent.SUBSCRIBE, payload)

    def behave(self) -> bool:
        """Stop answering, and wait until the connection ends."""
        self._wait_until(self.welcome_ns + self._dies_after_ns)
        self._die()
        if self.kind == "no-pong":
            self._repeat(self._ask, _ASK_EACH_NS)
        elif self.kind == "stalled":
            self._repeat(self._pong, _PONG_EACH_NS)
        return super().behave()

    def lost(self, stamp_ns: int, error: Exception) -> None:
        """Judge the time of the end."""
        super().lost(stamp_ns, error)
        died_ns, self._died_ns = self._died_ns, None
        if died_ns is not None and self.absence.since_ns is None:
            span_ns = stamp_ns - died_ns
            self._recorder.span(_SERIES[self.kind], span_ns, stamp_ns)
            self._note_end(self._band.judge(stamp_ns), stamp_ns, span_ns)

    def stop_requests(self, now_ns: int) -> None:
        """Record a dead connection that the gateway should have ended by now."""
        died_ns, self._died_ns = self._died_ns, None
        if died_ns is not None and now_ns > self._band.end_ns:
            self._note_end(DeadPeerOutcome.UNNOTICED, now_ns, now_ns - died_ns)
        super().stop_requests(now_ns)

    def _die(self) -> None:
        client = self._require()
        opened = client.opened
        if opened is None:
            raise RuntimeError("a connection with a welcome has had no Engine.IO open packet")
        if self.kind == "no-pong":
            client.ignore_pings()
        else:
            self.pause()
        if self.kind == "stalled":
            for _ in range(_ASKS):
                self._ask()
        self._died_ns = time.monotonic_ns()
        self._band = predict_band(
            self.kind,
            pinged_ns=client.pinged_ns,
            died_ns=self._died_ns,
            interval_ns=opened.ping_interval_ms * 1_000_000,
            timeout_ns=opened.ping_timeout_ms * 1_000_000,
            max_send_ns=self._max_send_ns,
        )
        self.note(
            Event.DEAD_PEER_BAND,
            self._band.end_ns,
            sent_ns=self._died_ns,
            value_ns=max(0, self._band.begin_ns - self._died_ns),
            detail=self.kind,
        )

    def _repeat(self, act: Callable[[], None], each_ns: int) -> None:
        """Call ``act`` at fixed intervals until the connection ends, which raises."""
        begin_ns = time.monotonic_ns()
        turn = 0
        while True:
            turn += 1
            self._wait_until(begin_ns + turn * each_ns)
            with suppress(ClientError):  # the reactor sees that end too and calls lost()
                act()

    def _ask(self) -> None:
        self._require().begin_call(ClientEvent.GET_SUBSCRIPTIONS)

    def _pong(self) -> None:
        self._require().pong()

    def _note_end(self, outcome: DeadPeerOutcome, at_ns: int, span_ns: int) -> None:
        self.note(Event.DEAD_PEER, at_ns, outcome, value_ns=span_ns, detail=self.kind)
