"""What users see that they must not, against a real gateway and what is published to it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any, cast

import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S
from living import Kept, Living, wait_until

from gateway.contract import PUBLISH_PATH, Scope
from loadtests.behaviours.stage import Stage
from loadtests.behaviours.trader import Trader
from loadtests.behaviours.users import VirtualUser
from loadtests.behaviours.witness import MOST_LEAKS
from loadtests.publication.payloads import PayloadMaker
from loadtests.results import Event, LeakOutcome
from loadtests.tokens import mint

StartGateway = Callable[..., GatewayProcess]
SetStage = Callable[[str], Stage]
Perform = Callable[[Stage], Living]

TRADERS = '[users.trader]\ncount = 2\nsymbols = 1\nrequest_every = "60 s"\n'
PRIVATE = ("order:created", "position:updated", "trade:executed", "balance:updated")


def publish(gateway: GatewayProcess, *items: dict[str, Any]) -> None:
    token = mint(gateway.secret, "lab", lifetime_s=60, scopes=[Scope.PUBLISH])
    request = urllib.request.Request(  # noqa: S310 - our own gateway's address
        gateway.url + PUBLISH_PATH,
        data=json.dumps(list(items)).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:  # noqa: S310 - as above
        assert answer.status == 202


def traders(
    stage: Stage, live: Living, gateway: GatewayProcess, recorder: Kept
) -> tuple[VirtualUser, VirtualUser]:
    first, second = live(Trader, gateway), live(Trader, gateway)
    # Two subscriptions each, and then they are idle for the test's time.
    wait_until(lambda: recorder.counted.get("sent", 0) >= 6)
    assert set(stage.trader_ids()) == {"vu-0", "vu-1"}
    return first, second


def item(event: str, owner: str) -> dict[str, Any]:
    maker = PayloadMaker(1, ["SYM000/USDT"], [1.0], [owner])
    return cast(dict[str, Any], maker.make(event, source_us=None, unix_s=0.0))


@pytest.fixture
def scene(
    set_stage: SetStage, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> tuple[GatewayProcess, VirtualUser]:
    stage = set_stage(TRADERS)
    gateway = start_gateway()
    first, _ = traders(stage, perform(stage), gateway, recorder)
    return gateway, first


def test_what_names_its_owner_and_reaches_the_owner_is_no_leak(
    scene: tuple[GatewayProcess, VirtualUser], recorder: Kept
) -> None:
    gateway, user = scene
    publish(gateway, *(item(event, "vu-0") for event in PRIVATE))
    streams = {"user:vu-0": len(PRIVATE), "trading": len(PRIVATE) - 1}
    wait_until(lambda: user.account.owes_nothing(streams))
    assert recorder.outcomes(Event.LEAK) == []


@pytest.mark.parametrize("event", PRIVATE)
def test_an_event_that_names_another_owner_is_a_leak(
    scene: tuple[GatewayProcess, VirtualUser], recorder: Kept, event: str
) -> None:
    gateway, _ = scene
    publish(gateway, {**item(event, "vu-1"), "userId": "vu-0"})
    wait_until(lambda: recorder.outcomes(Event.LEAK))
    assert recorder.outcomes(Event.LEAK) == [LeakOutcome.FOREIGN]


def test_a_flood_of_leaks_is_kept_in_part_and_counted_whole(
    scene: tuple[GatewayProcess, VirtualUser], recorder: Kept
) -> None:
    gateway, user = scene
    flood = [{**item("order:created", "vu-1"), "userId": "vu-0"}] * (2 * MOST_LEAKS)
    publish(gateway, *flood)
    wait_until(lambda: user._leaks == 2 * MOST_LEAKS)
    assert len(recorder.outcomes(Event.LEAK)) == MOST_LEAKS
