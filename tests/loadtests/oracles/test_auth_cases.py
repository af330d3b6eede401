from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.auth import Authenticator, Identity, authenticate
from gateway.errors import AuthenticationError
from gateway.settings import read_settings
from loadtests.oracles.auth_cases import (
    CASES,
    EXPIRED,
    FAILED,
    MISSING,
    AuthCase,
    ExpectedRefusal,
    Issuer,
    judge,
)
from loadtests.results import AuthOutcome

SECRET = "wJ8qZr2LxV5nTb7YpKc3MdHs6GfAe9Ru"
NOW_S = 1_900_000_000
ISSUER = Issuer(secret=SECRET, user_id="vu-7", unix_s=NOW_S)


def answer_of(case: AuthCase, *, late_s: float = 0.0) -> ExpectedRefusal | Identity:
    """What the gateway's own decision is, so long after the token was made."""
    settings = read_settings(
        {"JWT_SECRET": SECRET, "CLIENT_URL": "http://localhost"}, random_secret=""
    )
    offer = case.offer(ISSUER)
    try:
        return authenticate(
            Authenticator(settings),
            offer.auth,
            offer.query_token,
            NOW_S + late_s,
            development=False,
        )
    except AuthenticationError as error:
        return ExpectedRefusal(error.message, error.code)


@pytest.mark.parametrize("late_s", [0.0, 5.0], ids=["at once", "5 s later"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gateway_answers_each_case_as_the_table_says(case: AuthCase, late_s: float) -> None:
    answer = answer_of(case, late_s=late_s)
    if case.refusal is None:
        assert isinstance(answer, Identity)
    else:
        assert answer == case.refusal


def test_the_table_has_every_refusal_and_good_tokens_among_the_bad() -> None:
    refusals = {case.refusal for case in CASES}
    assert refusals == {None, MISSING, FAILED, EXPIRED}
    assert len({case.name for case in CASES}) == len(CASES)


GOOD = AuthCase("good", lambda _: pytest.fail("not offered"))
BAD = replace(GOOD, refusal=FAILED)


@pytest.mark.parametrize(
    ("case", "answer", "early_events", "outcome"),
    [
        (GOOD, None, 0, AuthOutcome.ACCEPTED),
        (GOOD, FAILED, 0, AuthOutcome.FALSE_REFUSAL),
        (BAD, FAILED, 0, AuthOutcome.REFUSED),
        (BAD, None, 0, AuthOutcome.FALSE_ACCEPT),
        (BAD, EXPIRED, 0, AuthOutcome.WRONG_CODE),
        (BAD, replace(FAILED, message="No"), 0, AuthOutcome.WRONG_CODE),
        (BAD, FAILED, 1, AuthOutcome.EARLY_EVENT),
        (GOOD, None, 1, AuthOutcome.EARLY_EVENT),
    ],
    ids=[
        "let in",
        "good and refused",
        "refused",
        "bad and let in",
        "another code",
        "another message",
        "an event to who was refused",
        "an event before CONNECT",
    ],
)
def test_a_case_is_judged_by_its_answer_and_by_what_came_beside_it(
    case: AuthCase, answer: ExpectedRefusal | None, early_events: int, outcome: AuthOutcome
) -> None:
    assert judge(case, answer, early_events) is outcome
