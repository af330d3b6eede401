"""Users with tokens of every kind, against a real gateway."""

from __future__ import annotations

from collections.abc import Callable

from blackbox.process import GatewayProcess
from deadlines import DEADLINE_S, PROMPT_S
from living import Kept, Living, wait_until

from loadtests.behaviours.bad_token import BadToken
from loadtests.behaviours.expiring import Expiring
from loadtests.behaviours.run_context import RunContext
from loadtests.oracles.auth_cases import CASES
from loadtests.results import AuthOutcome, Event, Series
from loadtests.tokens import SignedTokens

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]
NS_PER_S = 1_000_000_000

# exp counts whole seconds and is rounded up: such a token lasts from one second to two.
EXPIRING = """[users.expiring]
count = 2
lifetime = "1 s"
refreshing = {share}
"""


def test_every_case_is_tried_and_answered_as_it_should_be(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    run_context = make_context('[users.bad_token]\ncount = 2\nevery = "10 ms"\n')
    live, gateway = perform(run_context), start_gateway(GATEWAY_HEARTBEAT_SECONDS=0.1)
    for _ in range(2):
        live(BadToken, gateway)
    wait_until(lambda: len(recorder.outcomes(Event.AUTH)) >= 2 * len(CASES))
    outcomes = set(recorder.outcomes(Event.AUTH))
    assert outcomes == {AuthOutcome.ACCEPTED, AuthOutcome.REFUSED}
    assert recorder.outcomes(Event.ERROR) == []


def test_a_gateway_with_another_secret_refuses_good_tokens_and_is_accused_of_it(
    make_context: MakeContext, perform: Perform, shared_gateway: StartGateway, recorder: Kept
) -> None:
    run_context = make_context('[users.bad_token]\ncount = 1\nevery = "10 ms"\n')
    perform(run_context)(BadToken, shared_gateway())
    run_context.tokens = SignedTokens("another-secret-of-the-laboratory-0123")
    wait_until(lambda: len(recorder.outcomes(Event.AUTH)) >= len(CASES))
    outcomes = set(recorder.outcomes(Event.AUTH))
    assert {AuthOutcome.FALSE_REFUSAL, AuthOutcome.WRONG_CODE} <= outcomes


def test_a_token_that_runs_out_ends_the_connection_at_its_time_and_no_refused_refresh_helps(
    make_context: MakeContext, perform: Perform, shared_gateway: StartGateway, recorder: Kept
) -> None:
    live, gateway = perform(make_context(EXPIRING.format(share=0.0))), shared_gateway()
    live(Expiring, gateway)
    wait_until(
        lambda: recorder.outcomes(Event.AUTH).count(AuthOutcome.EXPIRED) >= 2, 2 * DEADLINE_S
    )
    assert recorder.outcomes(Event.AUTH)[:4] == [
        AuthOutcome.REFUSED,
        AuthOutcome.EXPIRED,
        AuthOutcome.REFUSED,
        AuthOutcome.EXPIRED,
    ]
    late_ns = recorder.of(Series.EXPIRY)
    assert all(0 <= late < PROMPT_S * NS_PER_S for late in late_ns)
    assert min(late_ns) < NS_PER_S  # a busy host delays one of them, and not all
    assert recorder.outcomes(Event.ERROR) == []


def test_who_refreshes_in_time_stays(
    make_context: MakeContext, perform: Perform, shared_gateway: StartGateway, recorder: Kept
) -> None:
    live, gateway = perform(make_context(EXPIRING.format(share=1.0))), shared_gateway()
    live(Expiring, gateway)
    wait_until(lambda: recorder.outcomes(Event.AUTH))
    assert recorder.outcomes(Event.AUTH) == [AuthOutcome.ACCEPTED]
    assert recorder.of(Series.EXPIRY) == []
    assert recorder.outcomes(Event.DISCONNECT) == recorder.outcomes(Event.ERROR) == []


def test_a_connection_that_outlives_its_token_is_noticed_while_it_stands(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    live = perform(make_context(EXPIRING.format(share=0.0)))
    # The laboratory takes the leeway for the contract's 30 s; this gateway grants a minute more.
    live(Expiring, start_gateway(GATEWAY_TOKEN_LEEWAY_SECONDS=90))
    wait_until(lambda: AuthOutcome.OVERSTAYED in recorder.outcomes(Event.AUTH))
    assert AuthOutcome.EXPIRED not in recorder.outcomes(Event.AUTH)
