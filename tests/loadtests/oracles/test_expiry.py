from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.contract import iso_timestamp
from loadtests.oracles.expiry import EARLY_NS, OVERSTAY_NS, ExpiryOracle
from loadtests.results import AuthOutcome

SECOND = 1_000_000_000
WALL_S = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())
WELCOME_NS = 77 * SECOND


def watch(expires_in_s: int, *, leeway_s: int = 30, warning_s: float = 60.0) -> ExpiryOracle:
    return ExpiryOracle(
        expires_unix_s=WALL_S + expires_in_s,
        leeway_s=leeway_s,
        warning_s=warning_s,
        welcome_timestamp=iso_timestamp(WALL_S),
        welcome_ns=WELCOME_NS,
    )


def test_the_deadline_is_exp_and_leeway_by_the_gateways_own_wall_clock() -> None:
    assert watch(-25).deadline_ns == WELCOME_NS + 5 * SECOND


@pytest.mark.parametrize(
    ("off_ns", "is_told", "outcome", "late_ns"),
    [
        (0, True, AuthOutcome.EXPIRED, 0),
        (SECOND // 2, True, AuthOutcome.EXPIRED, SECOND // 2),
        (-EARLY_NS, True, AuthOutcome.EXPIRED, 0),
        (-EARLY_NS - 1, True, AuthOutcome.FALSE_REFUSAL, None),
        (-EARLY_NS - 1, False, None, None),
        (0, False, AuthOutcome.WRONG_CODE, 0),
        (OVERSTAY_NS, True, AuthOutcome.EXPIRED, OVERSTAY_NS),
        (OVERSTAY_NS + 1, True, AuthOutcome.OVERSTAYED, OVERSTAY_NS + 1),
        (60 * SECOND, True, AuthOutcome.OVERSTAYED, 60 * SECOND),
    ],
    ids=[
        "to the point",
        "a tick later",
        "within the clock's error",
        "too early",
        "lost for another reason",
        "without a word",
        "at the last moment",
        "too late",
        "a minute late",
    ],
)
def test_the_end_is_judged_by_its_time_and_by_what_was_said(
    off_ns: int, is_told: bool, outcome: AuthOutcome | None, late_ns: int | None
) -> None:
    oracle = watch(-25)
    if is_told:
        assert oracle.take_error("TOKEN_EXPIRED")
    assert oracle.close(oracle.deadline_ns + off_ns) == (outcome, late_ns)


def test_another_error_is_not_the_tokens() -> None:
    assert not watch(-25).take_error("RATE_LIMIT_EXCEEDED")


@pytest.mark.parametrize(
    ("expires_in_s", "at_s", "words"),
    [
        (-25, 0.4, None),
        (-25, 4.0, "too late"),
        (30, 0.0, None),
        (100, 40.2, None),
        (100, 30.0, "too early"),
        (100, 44.0, "too late"),
    ],
    ids=["at once", "late", "less is left", "60 s before", "early", "late, with time left"],
)
def test_a_warning_comes_a_minute_before_exp_or_at_once(
    expires_in_s: int, at_s: float, words: str | None
) -> None:
    problem = watch(expires_in_s).take_warning(WELCOME_NS + round(at_s * SECOND))
    assert (problem is None) if words is None else (problem is not None and words in problem)


def test_a_warning_that_never_came_is_missed_and_one_that_came_is_not() -> None:
    oracle = watch(-25)
    assert oracle.missing_warning(WELCOME_NS + OVERSTAY_NS) is None
    assert "no token:expiring" in (oracle.missing_warning(WELCOME_NS + OVERSTAY_NS + 1) or "")
    assert oracle.take_warning(WELCOME_NS + 1) is None
    assert oracle.missing_warning(WELCOME_NS + 60 * SECOND) is None


def test_a_token_is_warned_of_once_and_each_new_one_again() -> None:
    oracle = watch(-25)
    assert oracle.take_warning(WELCOME_NS) is None
    assert "twice" in (oracle.take_warning(WELCOME_NS + 1) or "")
    oracle.renew(WALL_S - 10, WELCOME_NS + SECOND)
    assert oracle.deadline_ns == WELCOME_NS + 20 * SECOND
    assert oracle.take_warning(WELCOME_NS + 2 * SECOND) is None
