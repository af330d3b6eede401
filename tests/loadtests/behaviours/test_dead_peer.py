"""Peers that play dead, and when the gateway notices."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from blackbox.process import GatewayProcess
from deadlines import PROMPT_S
from living import Kept, Living, wait_until

from loadtests.behaviours.dead_peer import DeadPeer
from loadtests.behaviours.run_context import RunContext
from loadtests.oracles import closing_bands
from loadtests.oracles.closing_bands import EARLY_SLACK_NS, LATE_SLACK_NS, predict_band
from loadtests.results import DeadPeerOutcome, Event, Series
from scenarios.schema import DeadPeerKind

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]

DEAD = '[users.dead_peer]\ncount = 1\nkinds = ["KIND"]\ndies_after = "200 ms"\n'
MAX_SEND = "[gateway]\nGATEWAY_MAX_SEND_SECONDS = WAIT\n"
QUICK = {"GATEWAY_PING_INTERVAL_MS": 400, "GATEWAY_PING_TIMEOUT_MS": 300}
S = 1_000_000_000


@pytest.mark.parametrize(
    ("kind", "series"),
    [
        ("mute", Series.DEAD_PEER_MUTE),
        ("no-pong", Series.DEAD_PEER_NO_PONG),
        ("stalled", Series.DEAD_PEER_STALLED),
    ],
)
def test_each_kind_of_dead_peer_is_noticed_within_its_band(
    shared_gateway: StartGateway,
    make_context: MakeContext,
    perform: Perform,
    recorder: Kept,
    kind: DeadPeerKind,
    series: Series,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A busy host may hold either process for longer than the band of a real run allows.
    monkeypatch.setattr(closing_bands, "LATE_SLACK_NS", round(PROMPT_S * S))
    settings = {"GATEWAY_MAX_SEND_SECONDS": 1} if kind == "stalled" else QUICK
    gateway = shared_gateway(**settings)
    text = DEAD.replace("KIND", kind)
    run_context = make_context(text + (MAX_SEND.replace("WAIT", "1") if kind == "stalled" else ""))
    user = perform(run_context)(DeadPeer, gateway)
    wait_until(lambda: recorder.outcomes(Event.DEAD_PEER))
    assert recorder.outcomes(Event.DEAD_PEER)[0] == DeadPeerOutcome.IN_BAND, recorder.of(series)
    assert recorder.of(series)[0] > 0.1 * S
    assert "errors" not in recorder.counted
    wait_until(lambda: user.connects == 2)  # and comes back


def test_a_stalled_peer_whose_bytes_wait_too_long_is_late(
    start_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway = start_gateway(GATEWAY_MAX_SEND_SECONDS=5)
    run_context = make_context(DEAD.replace("KIND", "stalled") + MAX_SEND.replace("WAIT", "1"))
    perform(run_context)(DeadPeer, gateway)
    wait_until(lambda: recorder.outcomes(Event.DEAD_PEER))
    assert recorder.outcomes(Event.DEAD_PEER) == [DeadPeerOutcome.LATE]


def test_a_dead_peer_that_nobody_noticed_by_the_end_is_told(
    shared_gateway: StartGateway, make_context: MakeContext, perform: Perform, recorder: Kept
) -> None:
    gateway, run_context = shared_gateway(), make_context(DEAD.replace("KIND", "mute"))
    user = perform(run_context)(DeadPeer, gateway)
    assert isinstance(user, DeadPeer)
    wait_until(lambda: user._died_ns is not None)
    user.stop_requests(time.monotonic_ns() + 60 * S)
    assert recorder.outcomes(Event.DEAD_PEER) == [DeadPeerOutcome.UNNOTICED]


@pytest.mark.parametrize(
    ("kind", "begin_s", "end_s"),
    [("mute", 45 + 2, 45 + 2 + 2), ("no-pong", 45 + 2, 45 + 2), ("stalled", 10 + 5, 10 + 5 + 2)],
)
def test_bands_follow_from_the_handshake_and_the_contract(
    kind: DeadPeerKind, begin_s: int, end_s: int
) -> None:
    band = predict_band(
        kind,
        pinged_ns=2 * S,
        died_ns=10 * S,
        interval_ns=25 * S,
        timeout_ns=20 * S,
        max_send_ns=5 * S,
    )
    assert band == (begin_s * S - EARLY_SLACK_NS, end_s * S + LATE_SLACK_NS)
    assert band.judge(band.begin_ns - 1) is DeadPeerOutcome.EARLY
    assert band.judge(band.begin_ns) is band.judge(band.end_ns) is DeadPeerOutcome.IN_BAND
    assert band.judge(band.end_ns + 1) is DeadPeerOutcome.LATE
