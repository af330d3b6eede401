"""Users that ask a model, against a real gateway."""

from __future__ import annotations

from collections.abc import Callable

from blackbox.process import GatewayProcess
from living import Kept, Living, wait_until

from loadtests.behaviours.model_user import ModelUser
from loadtests.behaviours.run_context import RunContext
from loadtests.results import Event, ModelOutcome, Series

StartGateway = Callable[..., GatewayProcess]
MakeContext = Callable[[str], RunContext]
Perform = Callable[[RunContext], Living]
SETTINGS = {"GATEWAY_SCRIPTED_TOKENS": 10, "GATEWAY_SCRIPTED_TOKENS_PER_SECOND": 50}


def model_users(cancelling: float = 0.0, slow: float = 0.0, tokens: int = 10) -> str:
    return (
        f'[users.model_user]\ncount = 1\nask_every = "0.5 s"\ncancelling = {cancelling}\n'
        f"slow = {slow}\n[gateway]\nGATEWAY_SCRIPTED_TOKENS = {tokens}\n"
    )


def test_answers_are_checked_and_timed(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    perform(make_context(model_users()))(ModelUser, start_gateway(**SETTINGS))
    wait_until(lambda: len(recorder.outcomes(Event.MODEL_STREAM)) >= 2)
    assert set(recorder.outcomes(Event.MODEL_STREAM)) == {ModelOutcome.DONE}
    assert len(recorder.of(Series.LLM_FIRST_TOKEN)) >= 2
    assert len(recorder.of(Series.LLM_GAP)) >= 2 * 9
    assert recorder.outcomes(Event.ERROR) == []


def test_answers_are_cancelled(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    settings = SETTINGS | {"GATEWAY_SCRIPTED_TOKENS": 1_000}
    context = make_context(model_users(cancelling=1.0, tokens=1_000))
    perform(context)(ModelUser, start_gateway(**settings))
    wait_until(lambda: len(recorder.outcomes(Event.MODEL_STREAM)) >= 2)
    assert set(recorder.outcomes(Event.MODEL_STREAM)) == {ModelOutcome.CANCELLED}
    assert len(recorder.of(Series.LLM_CANCEL)) >= 2


def test_a_user_that_stops_reading_gets_its_answer_whole_and_is_not_timed(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    perform(make_context(model_users(slow=1.0)))(ModelUser, start_gateway(**SETTINGS))
    wait_until(lambda: recorder.outcomes(Event.MODEL_STREAM))
    assert recorder.outcomes(Event.MODEL_STREAM)[0] == ModelOutcome.DONE
    assert recorder.of(Series.LLM_FIRST_TOKEN) == []


def test_an_answer_of_another_length_is_broken(
    make_context: MakeContext, perform: Perform, start_gateway: StartGateway, recorder: Kept
) -> None:
    perform(make_context(model_users(tokens=11)))(ModelUser, start_gateway(**SETTINGS))
    wait_until(lambda: recorder.outcomes(Event.MODEL_STREAM))
    assert recorder.outcomes(Event.MODEL_STREAM)[0] == ModelOutcome.BROKEN
