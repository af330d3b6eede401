"""The user that exceeds the limits, against a real gateway with a short window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S
from living import Kept, Living, wait_until

from loadtests.behaviours.abuser import Abuser
from loadtests.behaviours.run_context import RunContext
from loadtests.results import Event, LimitOutcome, Series

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]
RIGHT = {LimitOutcome.ACCEPTED, LimitOutcome.REFUSED}
WRONG = {LimitOutcome.FALSE_ACCEPT, LimitOutcome.FALSE_REFUSAL}


def abuser(**settings: object) -> str:
    lines = [f"{name} = {str(value).lower()}" for name, value in settings.items()]
    return "\n".join(["[users.abuser]", "count = 1", *lines, ""])


def decisions(recorder: Kept) -> Counter[str]:
    return Counter(recorder.outcomes(Event.LIMIT))


def test_at_the_edge_it_is_refused_just_before_and_let_in_just_after(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    run_context = make_context(abuser(burst=8, edge=True))
    gateway = start_gateway(
        GATEWAY_RATE_LIMIT=5, GATEWAY_RATE_WINDOW_SECONDS=0.5, GATEWAY_PING_WINDOW_SECONDS=0.5
    )
    perform(run_context)(Abuser, gateway)
    wait_until(lambda: len(recorder.outcomes(Event.RETRY)) >= 3)
    assert set(recorder.outcomes(Event.RETRY)) == {"accepted"}
    found = decisions(recorder)
    assert not WRONG & set(found)
    # Two for each time it was let in: what the burst had over, and the one just before.
    assert found[LimitOutcome.REFUSED] >= 3
    assert set(recorder.of(Series.RETRY_ERROR)) == {0}
    assert recorder.outcomes(Event.ERROR) == []


def test_the_users_limit_is_met_over_several_connections_and_outlives_them(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    run_context = make_context(abuser(burst=14, connections=3, reconnects=1))
    gateway = start_gateway(GATEWAY_RATE_LIMIT=5, GATEWAY_USER_RATE_LIMIT=12)
    perform(run_context)(Abuser, gateway)
    wait_until(lambda: len(recorder.outcomes(Event.LIMIT)) >= 28)
    found = decisions(recorder)
    assert not WRONG & set(found)
    assert found[LimitOutcome.ACCEPTED] + found[LimitOutcome.UNDECIDABLE] >= 12
    assert found[LimitOutcome.REFUSED] >= 14
    assert recorder.outcomes(Event.RECONNECT) == [""]


@pytest.mark.parametrize(
    ("settings", "gateway_settings", "wrong"),
    [
        ({"burst": 62}, {"GATEWAY_RATE_LIMIT": 61}, LimitOutcome.FALSE_ACCEPT),
        ({"burst": 62}, {"GATEWAY_RATE_LIMIT": 59}, LimitOutcome.FALSE_REFUSAL),
        (
            {"burst": 300, "connections": 5, "reconnects": 1},
            {"GATEWAY_USER_RATE_LIMIT": 1_000},
            LimitOutcome.FALSE_ACCEPT,
        ),
        (
            {"burst": 8, "edge": True},
            {"GATEWAY_PING_LIMIT": 12},
            LimitOutcome.FALSE_ACCEPT,
        ),
    ],
    ids=["61", "59", "no limit of the user", "12 pings"],
)
def test_a_gateway_that_keeps_another_limit_than_it_announces_is_found(
    make_context: MakeContext,
    perform: Perform,
    start_gateway: StartGateway,
    recorder: Kept,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    gateway_settings: dict[str, Any],
    wrong: LimitOutcome,
) -> None:
    # The gateway announces what it keeps; the user is told what the contract says.
    contract = {
        "connection": {"limit": 60, "windowMs": 60_000},
        "user": {"limit": 300, "windowMs": 60_000},
        "ping": {"limit": 10, "windowMs": 10_000},
    }
    heard = Abuser.welcomed

    def hear(user: Abuser, stamp_ns: int, payload: dict[str, Any]) -> None:
        payload["limits"]["events"] = contract
        heard(user, stamp_ns, payload)

    monkeypatch.setattr(Abuser, "welcomed", hear)
    perform(make_context(abuser(**settings)))(Abuser, start_gateway(**gateway_settings))
    wait_until(lambda: wrong in recorder.outcomes(Event.LIMIT), 2 * DEADLINE_S)


def test_a_connection_that_is_closed_for_its_refusals_is_no_error_and_comes_back(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    run_context = make_context(abuser(burst=40))
    gateway = start_gateway(GATEWAY_RATE_LIMIT=5, GATEWAY_MAX_REFUSED_EVENTS=10)
    perform(run_context)(Abuser, gateway)
    wait_until(lambda: recorder.outcomes(Event.RECONNECT))
    found = decisions(recorder)
    assert found[LimitOutcome.ACCEPTED] >= 5
    assert not WRONG & set(found)
    assert recorder.outcomes(Event.DISCONNECT)
    assert recorder.outcomes(Event.ERROR) == []
