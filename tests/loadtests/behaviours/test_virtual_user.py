from __future__ import annotations

import errno
import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S, RUN_S
from gevent.pool import Group
from living import Kept, Living, wait_until
from locust.env import Environment

from loadtests.behaviours import virtual_user
from loadtests.behaviours.abuser import Abuser
from loadtests.behaviours.registry import BEHAVIOURS
from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.subscriber import Subscriber
from loadtests.behaviours.trader import Trader
from loadtests.behaviours.virtual_user import VirtualUser
from loadtests.connection import client
from loadtests.errors import Exhausted
from loadtests.health.clock_id import read_clock_id
from loadtests.results import Event, Series
from loadtests.tokens import SignedTokens
from scenarios.schema import parse_scenario


@pytest.fixture
def run_context(recorder: Kept, small_scenario: Path) -> RunContext:
    scenario = parse_scenario(
        small_scenario.read_text().replace("1500 ms", "250 ms"), path="small.toml"
    )
    run_context = RunContext(scenario=scenario, tokens=SignedTokens("x" * 32), recorder=recorder)
    for user_class in (Subscriber, Trader, Abuser):
        user_class.run_context = run_context
    return run_context


@pytest.fixture
def environment() -> Iterator[Environment]:
    environment = Environment(user_classes=[Subscriber, Trader, Abuser])
    yield environment
    environment.events.test_stop.fire(environment=environment)  # type: ignore[no-untyped-call]  # Locust's own gap


@pytest.fixture
def perform(
    run_context: RunContext,
    environment: Environment,
    start_gateway: Callable[
        ..., GatewayProcess
    ],  # asked for first: its gateways end after the users
) -> Iterator[Living]:
    """Let a user live against a gateway, in a greenlet of its own."""
    living = Living(run_context, environment)
    yield living
    living.end()


def welcome(user: VirtualUser, **fields: object) -> None:
    payload = {"clock": read_clock_id(), "userSeq": 0, "epoch": "e", "heartbeatInterval": 1_000}
    user.on_event(time.monotonic_ns(), "connected", ({**payload, **fields},))


def now_us() -> int:
    return time.monotonic_ns() // 1_000


def test_a_user_without_a_descriptor_is_the_generators_fault_and_no_error(
    run_context: RunContext,
    environment: Environment,
    recorder: Kept,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dial(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(client, "dial", dial)
    Subscriber.host = "http://127.0.0.1:1"
    for user in (Subscriber(environment), Subscriber(environment)):
        with pytest.raises(Exhausted) as caught:
            user.connect_and_subscribe()
        user._note_failure(caught.value)
    assert recorder.outcomes(Event.LOST_PROCESS) == [""]  # said once
    assert recorder.counted.get("errors", 0) == 0


def test_users_keep_identity_address_and_symbols(
    run_context: RunContext, environment: Environment
) -> None:
    Subscriber.host = "http://127.0.0.1:1"
    users = [Subscriber(environment) for _ in range(51)]
    assert [users[0].user_id, users[50].user_id] == ["vu-0", "vu-50"]
    assert users[0].source_address() == users[49].source_address() == "127.1.0.1"
    assert users[50].source_address() == "127.1.0.2"
    assert run_context.symbols_of("vu-3", 2) == run_context.symbols_of("vu-3", 2)
    assert len(set(run_context.symbols_of("vu-3", 5))) == 5


def test_a_user_that_only_listens_shares_the_names_of_its_attributes(
    run_context: RunContext, environment: Environment
) -> None:
    # CPython shares the names of at most 30; with one more each user costs 1.3 KB again.
    # Locust adds one of its own when it starts the user.
    assert len(vars(Subscriber(environment))) < 30


def test_popular_symbols_are_drawn_more_often(run_context: RunContext) -> None:
    drawn = [run_context.symbols_of(f"vu-{number}", 1)[0] for number in range(500)]
    names = run_context.scenario.market.names
    assert drawn.count(names[0]) > 2 * drawn.count(names[4]) > 0


def test_a_push_has_a_response_and_a_service_time(
    run_context: RunContext, environment: Environment, recorder: Kept
) -> None:
    user = Subscriber(environment)
    welcome(user)
    stamp_us = now_us()
    payload = {"symbol": "S", "seq": 1, "prevSeq": 0, "ts": stamp_us - 10, "srcTs": stamp_us - 30}
    user.on_event(stamp_us * 1_000, "price:update", (payload,))
    user._pushes.flush()
    assert recorder.of(Series.PUSH_SERVICE) == [10_000]
    assert recorder.of(Series.PUSH) == [30_000]


@pytest.mark.parametrize(
    ("fields", "clock"),
    [({"snapshot": True}, None), ({"replayed": True}, None), ({}, "another")],
    ids=["snapshot", "replayed", "another clock"],
)
def test_what_cannot_be_timed_is_absent_not_zero(
    run_context: RunContext,
    environment: Environment,
    recorder: Kept,
    fields: dict[str, Any],
    clock: str | None,
) -> None:
    user = Subscriber(environment)
    welcome(user, **({"clock": clock} if clock else {}))
    payload = {"symbol": "S", "seq": 1, "ts": now_us(), "srcTs": now_us(), **fields}
    user.on_event(time.monotonic_ns(), "price:update", (payload,))
    user._pushes.flush()
    assert recorder.of(Series.PUSH) == recorder.of(Series.PUSH_SERVICE) == []


def test_a_push_without_an_intended_time_has_a_service_time_alone(
    run_context: RunContext, environment: Environment, recorder: Kept
) -> None:
    user = Subscriber(environment)
    welcome(user)
    payload = {"symbol": "S", "seq": 1, "ts": now_us()}
    user.on_event(time.monotonic_ns(), "price:update", (payload,))
    user._pushes.flush()
    assert recorder.of(Series.PUSH) == []
    assert len(recorder.of(Series.PUSH_SERVICE)) == 1


def test_heartbeats_are_judged_by_the_announced_interval(
    run_context: RunContext, environment: Environment, recorder: Kept
) -> None:
    user = Subscriber(environment)
    welcome(user)
    start_ns = user.welcome_ns
    for number, at_s in enumerate((0.5, 1.5, 4.6)):
        beat = {"ts": round(at_s * 1e6), "seq": number}
        user.on_event(start_ns + round(at_s * 1e9), "heartbeat", (beat,))
    assert recorder.of(Series.HEARTBEAT_GAP) == [1_000_000_000, 3_100_000_000]
    assert recorder.of(Series.HEARTBEAT_ERROR) == [0, 2_100_000_000]
    assert len(recorder.outcomes(Event.HEARTBEAT_MISSED)) == 2
    run_context.close_oracles(start_ns + round(7.0e9))
    assert len(recorder.outcomes(Event.HEARTBEAT_MISSED)) == 3


def test_an_error_event_that_nobody_asked_for_is_counted(
    run_context: RunContext,
    environment: Environment,
    recorder: Kept,
    perform: Living,
    shared_gateway: Callable[..., GatewayProcess],
) -> None:
    user = perform(Subscriber, shared_gateway())
    wait_until(lambda: user.is_on and user.has_tried)
    user.on_event(time.monotonic_ns(), "error", ({"code": "SLOW_CONSUMER", "message": "m"},))
    assert recorder.outcomes(Event.ERROR) == ["SLOW_CONSUMER"]
    assert recorder.counted["errors"] == 1


def test_a_subscriber_comes_back_after_a_loss_under_its_own_name(
    run_context: RunContext,
    recorder: Kept,
    perform: Living,
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    first = start_gateway()
    user = perform(Subscriber, first)
    wait_until(lambda: user.has_tried)
    settings = {"PORT": first.port, "JWT_SECRET": first.secret}
    first.kill()
    wait_until(lambda: not user.is_on)
    start_gateway(**settings)
    wait_until(lambda: user.is_on)
    assert [kind for kind, _, _ in recorder.events if kind in (Event.CONNECT, Event.RECONNECT)] == [
        Event.CONNECT,
        Event.RECONNECT,
    ]
    assert len(recorder.outcomes(Event.DISCONNECT)) == 1
    assert {name for _, name, _ in recorder.events} == {"vu-0"}


def test_a_traders_requests_are_timed_from_when_they_were_due(
    run_context: RunContext,
    recorder: Kept,
    perform: Living,
    shared_gateway: Callable[..., GatewayProcess],
) -> None:
    trader = perform(Trader, shared_gateway())
    wait_until(lambda: len(recorder.of(Series.ACK)) >= 5)
    assert run_context.owner_ids() == [trader.user_id]
    run_context.stop_requests(time.monotonic_ns())
    sent = recorder.counted["sent"]
    assert recorder.counted["offered"] == sent
    for series in (Series.ACK_SERVICE, Series.SCHEDULE_DELAY):
        assert len(recorder.of(series)) == len(recorder.of(Series.ACK))
    for response, service, delay in zip(
        recorder.of(Series.ACK),
        recorder.of(Series.ACK_SERVICE),
        recorder.of(Series.SCHEDULE_DELAY),
        strict=True,
    ):
        assert response == service + delay
        assert service > 0
    assert recorder.outcomes(Event.ERROR) == []


def test_what_was_due_and_never_sent_is_missed(
    run_context: RunContext,
    recorder: Kept,
    perform: Living,
    shared_gateway: Callable[..., GatewayProcess],
) -> None:
    perform(Trader, shared_gateway())
    wait_until(lambda: len(recorder.of(Series.ACK)) >= 3)
    run_context.stop_requests(time.monotonic_ns() + 2_500_000_000)
    assert recorder.counted["missed"] == 10
    assert recorder.counted["offered"] == recorder.counted["sent"] + 10


def test_a_neighbour_that_is_refused_is_noted(
    run_context: RunContext,
    recorder: Kept,
    perform: Living,
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    perform(Trader, start_gateway(GATEWAY_RATE_LIMIT=1))
    wait_until(lambda: recorder.outcomes(Event.LIMIT))
    assert recorder.outcomes(Event.LIMIT)[0] == "neighbour-refused"
    assert recorder.counted.get("errors", 0) == 0


def test_the_abusers_61st_is_refused_and_its_answers_are_not_timed(
    run_context: RunContext,
    recorder: Kept,
    perform: Living,
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    perform(Abuser, start_gateway())
    wait_until(lambda: len(recorder.outcomes(Event.LIMIT)) >= 65)
    assert recorder.outcomes(Event.LIMIT)[:65] == ["accepted"] * 60 + ["refused"] * 5
    assert recorder.of(Series.ACK) == []


@pytest.mark.parametrize("user_class", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_locust_finds_a_task_in_every_user(user_class: type[VirtualUser]) -> None:
    assert user_class.tasks == [VirtualUser.live]  # it warns of users without


def test_who_finds_nobody_has_tried_before_it_waits_to_try_again(
    run_context: RunContext, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual_user, "reconnect_delay_s", lambda attempt, draw: RUN_S)
    Subscriber.host = "http://127.0.0.1:1"
    group = Group()
    user = Subscriber(environment)
    user.start(group)
    wait_until(lambda: user.has_tried)
    assert run_context.is_complete()
    group.kill()


def test_a_user_that_only_listens_has_no_greenlet_but_the_seat(
    perform: Living,
    shared_gateway: Callable[..., GatewayProcess],
) -> None:
    def living() -> set[gevent.Greenlet]:
        gc.collect()
        greenlets = (each for each in gc.get_objects() if isinstance(each, gevent.Greenlet))
        return {each for each in greenlets if not each.dead}

    gateway = shared_gateway()
    first = perform(Subscriber, gateway)  # and with it what all users share
    wait_until(lambda: first.is_on and first.has_tried)
    before = living()
    user = perform(Subscriber, gateway)
    wait_until(lambda: user.is_on and user.has_tried)
    wait_until(lambda: living() - before == {user.greenlet})
    assert not user.greenlet.started


def test_a_refused_token_ends_the_user_and_is_counted(
    run_context: RunContext,
    environment: Environment,
    recorder: Kept,
    shared_gateway: Callable[..., GatewayProcess],
) -> None:
    gateway = shared_gateway()
    Subscriber.host = gateway.url
    group = Group()
    user = Subscriber(environment)
    user.start(group)
    assert group.join(timeout=DEADLINE_S)
    assert user.greenlet.dead
    assert recorder.outcomes(Event.REFUSE) == ["AUTH_FAILED"]
    assert recorder.counted["errors"] == 1
    assert run_context.is_complete()
