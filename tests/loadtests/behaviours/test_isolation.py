"""What users see that they must not, against a real gateway and what is published to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from blackbox.process import GatewayProcess
from living import Kept, Living, wait_until

from loadtests.behaviours.judged_user import MOST_LEAKS
from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.trader import Trader
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.publication.payloads import PayloadMaker
from loadtests.results import Event, LeakOutcome

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]

TRADERS = '[users.trader]\ncount = 2\nsymbols = 1\nrequest_every = "60 s"\n'
PRIVATE = ("order:created", "position:updated", "trade:executed", "balance:updated")


def traders(
    run_context: RunContext, live: Living, gateway: GatewayProcess, recorder: Kept
) -> tuple[VirtualUser, VirtualUser]:
    first, second = live(Trader, gateway), live(Trader, gateway)
    # Two subscriptions each, and then they are idle for the test's time.
    wait_until(lambda: recorder.counted.get("sent", 0) >= 6)
    assert set(run_context.owner_ids()) == {"vu-0", "vu-1"}
    return first, second


def item(event: str, owner: str) -> dict[str, Any]:
    maker = PayloadMaker(1, ["SYM000/USDT"], [1.0], [owner])
    return cast(dict[str, Any], maker.make(event, source_us=None, unix_s=0.0))


@pytest.fixture
def scene(
    make_context: MakeContext, perform: Perform, shared_gateway: StartGateway, recorder: Kept
) -> tuple[GatewayProcess, VirtualUser]:
    run_context = make_context(TRADERS)
    gateway = shared_gateway()
    first, _ = traders(run_context, perform(run_context), gateway, recorder)
    return gateway, first


def test_what_names_its_owner_and_reaches_the_owner_is_no_leak(
    scene: tuple[GatewayProcess, VirtualUser], recorder: Kept
) -> None:
    gateway, user = scene
    published = gateway.publish(*(item(event, "vu-0") for event in PRIVATE))
    streams = {"user:vu-0": published[-1]["userSeq"], "trading": published[-2]["seq"]}
    wait_until(lambda: user.account.owes_nothing(streams))
    assert recorder.outcomes(Event.LEAK) == []


@pytest.mark.parametrize("event", PRIVATE)
def test_an_event_that_names_another_owner_is_a_leak(
    scene: tuple[GatewayProcess, VirtualUser], recorder: Kept, event: str
) -> None:
    gateway, _ = scene
    gateway.publish({**item(event, "vu-1"), "userId": "vu-0"})
    wait_until(lambda: recorder.outcomes(Event.LEAK))
    assert recorder.outcomes(Event.LEAK) == [LeakOutcome.FOREIGN]


def test_a_flood_of_leaks_is_kept_in_part_and_counted_whole(
    scene: tuple[GatewayProcess, VirtualUser], recorder: Kept
) -> None:
    gateway, user = scene
    flood = [{**item("order:created", "vu-1"), "userId": "vu-0"}] * (2 * MOST_LEAKS)
    gateway.publish(*flood)
    wait_until(lambda: user._leaks == 2 * MOST_LEAKS)
    assert len(recorder.outcomes(Event.LEAK)) == MOST_LEAKS
