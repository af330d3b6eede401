from __future__ import annotations

import pytest

from gateway.revocations import Revocations

NOW_S = 1_800_000_000.0
LIFETIME_S = 86_400.0


@pytest.fixture
def revocations() -> Revocations:
    return Revocations(LIFETIME_S)


def ns(seconds: float) -> int:
    return round(seconds * 1e9)


def test_earlier_and_undated_tokens_of_the_user_are_concerned(revocations: Revocations) -> None:
    revocations.revoke("alice", NOW_S, NOW_S, 0)
    assert revocations.concern("alice", NOW_S - 0.5)
    assert revocations.concern("alice", None)
    assert not revocations.concern("alice", NOW_S)
    assert not revocations.concern("bob", NOW_S - 1)


def test_the_latest_moment_applies(revocations: Revocations) -> None:
    revocations.revoke("alice", NOW_S, NOW_S, 0)
    revocations.revoke("alice", NOW_S - 100, NOW_S + 1, ns(1))
    assert revocations.concern("alice", NOW_S - 1)
    assert len(revocations) == 1


def test_a_revocation_is_kept_as_long_as_a_token_may_live(revocations: Revocations) -> None:
    revocations.revoke("alice", NOW_S - 1_000, NOW_S, 0)
    revocations.revoke("bob", NOW_S, NOW_S + 10, ns(10))
    revocations.sweep(NOW_S + LIFETIME_S - 1, ns(LIFETIME_S - 1))
    assert len(revocations) == 2
    revocations.sweep(NOW_S + LIFETIME_S, ns(LIFETIME_S))
    assert not revocations.concern("alice", None)
    assert revocations.concern("bob", None)


def test_a_new_revocation_of_a_user_is_kept_from_then_on(revocations: Revocations) -> None:
    for user_id, after_s in (("alice", 0), ("bob", 10), ("alice", 20)):
        revocations.revoke(user_id, NOW_S, NOW_S + after_s, ns(after_s))
    revocations.sweep(NOW_S + LIFETIME_S + 10, ns(LIFETIME_S + 10))
    assert len(revocations) == 1
    revocations.sweep(NOW_S + LIFETIME_S + 20, ns(LIFETIME_S + 20))
    assert len(revocations) == 0


@pytest.mark.parametrize("step_s", [LIFETIME_S, -LIFETIME_S], ids=["forward", "back"])
def test_a_step_of_the_wall_clock_forgets_no_revocation(
    revocations: Revocations, step_s: float
) -> None:
    revocations.revoke("alice", NOW_S, NOW_S, 0)
    revocations.sweep(NOW_S + step_s, ns(1))
    revocations.sweep(NOW_S + LIFETIME_S - 1, ns(2 * LIFETIME_S))
    assert revocations.concern("alice", None)
