from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import LimitName
from gateway.limits.event_limiter import EventLimiter, EventRefusal
from gateway.limits.quota import EventQuotas, Quota
from gateway.limits.rolling_window import RollingWindow
from gateway.limits.user_windows import UserWindows
from gateway.settings import Settings

S = 1_000_000_000
MS = 1_000_000
MakeSettings = Callable[..., Settings]


def limiter(settings: Settings, user: RollingWindow | None = None) -> EventLimiter:
    return EventLimiter(EventQuotas.of(settings), user or RollingWindow(100_000, 60 * S))


def refusal_of(limits: EventLimiter, event: object, now_ns: int) -> EventRefusal:
    refusal = limits.admit(event, now_ns)
    assert refusal is not None
    return refusal


def windows(settings: Settings) -> UserWindows:
    quota = Quota.of(settings.user_rate_limit, settings.rate_window_seconds)
    return UserWindows(quota, round(settings.user_retention_seconds * S))


def oracle(times_ns: list[int], limit: int, window_ns: int) -> list[bool]:
    accepted: list[int] = []
    verdicts = []
    for now_ns in times_ns:
        inside = sum(1 for at_ns in accepted if now_ns - window_ns < at_ns <= now_ns)
        verdicts.append(inside < limit)
        if inside < limit:
            accepted.append(now_ns)
    return verdicts


@given(
    limit=st.integers(1, 9),
    window_ns=st.integers(1, 50),
    gaps_ns=st.lists(st.integers(0, 30), max_size=120),
)
def test_a_rolling_window_agrees_with_a_brute_force_oracle(
    limit: int, window_ns: int, gaps_ns: list[int]
) -> None:
    times_ns = list(accumulate(gaps_ns))
    window = RollingWindow(limit, window_ns)
    assert [window.admit(t) == 0 for t in times_ns] == oracle(times_ns, limit, window_ns)


@given(
    limit=st.integers(1, 9),
    window_ns=st.integers(1, 50),
    gaps_ns=st.lists(st.integers(0, 30), max_size=120),
)
def test_the_wait_that_is_told_is_the_first_moment_that_passes(
    limit: int, window_ns: int, gaps_ns: list[int]
) -> None:
    window = RollingWindow(limit, window_ns)
    now_ns = 0
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        wait_ns = window.admit(now_ns)
        if wait_ns:
            assert window.wait_ns(now_ns + wait_ns - 1) == 1
            now_ns += wait_ns
            assert window.admit(now_ns) == 0


def test_sixty_pass_and_a_61st_event_is_refused_until_the_first_is_a_minute_old() -> None:
    window = RollingWindow(60, 60 * S)
    assert [window.admit(i * S // 2) for i in range(60)] == [0] * 60
    assert window.admit(30 * S) == 30 * S
    assert window.admit(60 * S - 1) == 1
    assert window.admit(60 * S) == 0
    assert window.admit(60 * S) == S // 2


def test_a_window_has_no_memory_before_its_first_event(make_settings: MakeSettings) -> None:
    user = RollingWindow(300, 60 * S)
    fresh = limiter(make_settings(), user)
    assert user._times_ns is None
    assert fresh._windows is None
    assert fresh._breach_ends_ns is None
    assert fresh._refused is None


def test_a_window_never_grows_beyond_its_limit() -> None:
    window = RollingWindow(60, 60 * S)
    for i in range(10_000):
        window.admit(i * MS)
    assert window._times_ns is not None
    assert len(window._times_ns) == 60


def test_ten_thousand_silent_limiters_take_less_than_200_bytes_each(
    make_settings: MakeSettings,
) -> None:
    quotas, user = EventQuotas.of(make_settings()), RollingWindow(300, 60 * S)
    tracemalloc.start()
    try:
        kept = [EventLimiter(quotas, user) for _ in range(10_000)]
        assert tracemalloc.get_traced_memory()[0] / len(kept) < 200
    finally:
        tracemalloc.stop()


def test_a_refusal_says_which_limit_and_when_rounded_up_to_ms(make_settings: MakeSettings) -> None:
    limits = limiter(make_settings(GATEWAY_RATE_LIMIT="1"))
    assert limits.admit("subscribe", 0) is None
    refused = refusal_of(limits, "subscribe", 1)
    assert (refused.limit, refused.retry_after_ms) == (LimitName.CONNECTION, 60_000)


def test_a_breach_is_told_once_until_its_retry_after(make_settings: MakeSettings) -> None:
    limits = limiter(make_settings(GATEWAY_RATE_LIMIT="1"))
    assert limits.admit("x", 0) is None
    told = [refusal_of(limits, "x", at).first_of_breach for at in (S, 2 * S, 59 * S)]
    assert told == [True, False, False]
    assert limits.admit("x", 60 * S) is None
    assert refusal_of(limits, "x", 61 * S).first_of_breach


def test_each_limit_has_breaches_of_its_own(make_settings: MakeSettings) -> None:
    limits = limiter(make_settings(GATEWAY_RATE_LIMIT="1", GATEWAY_PING_LIMIT="1"))
    assert limits.admit("x", 0) is None
    assert limits.admit("ping", 0) is None
    assert refusal_of(limits, "x", 1).first_of_breach
    assert refusal_of(limits, "ping", 1).first_of_breach


@pytest.mark.parametrize(
    ("event", "limit", "count", "window_s"),
    [
        pytest.param("ping", LimitName.PING, 10, 10, id="ping"),
        pytest.param("token:refresh", LimitName.TOKEN_REFRESH, 10, 60, id="token refresh"),
        pytest.param("llm:stream:cancel", LimitName.LLM_STREAM_CANCEL, 10, 60, id="llm cancel"),
        pytest.param("subscribe", LimitName.CONNECTION, 60, 60, id="anything else"),
        pytest.param("no-such-event", LimitName.CONNECTION, 60, 60, id="unknown"),
        pytest.param({"a": 1}, LimitName.CONNECTION, 60, 60, id="not even a name"),
    ],
)
def test_each_event_is_held_to_its_limit(
    make_settings: MakeSettings, event: object, limit: LimitName, count: int, window_s: int
) -> None:
    limits = limiter(make_settings())
    assert all(limits.admit(event, i) is None for i in range(count))
    refused = refusal_of(limits, event, count)
    assert refused.limit == limit
    assert limits.admit(event, window_s * S) is None


def test_pings_are_not_charged_to_the_sixty_nor_to_the_user(make_settings: MakeSettings) -> None:
    user = RollingWindow(60, 60 * S)
    limits = limiter(make_settings(), user)
    assert all(limits.admit("ping", i) is None for i in range(10))
    assert all(limits.admit("subscribe", i) is None for i in range(10, 70))


def test_an_event_that_one_limit_refuses_is_charged_to_none(make_settings: MakeSettings) -> None:
    user = RollingWindow(2, 60 * S)
    settings = make_settings(GATEWAY_RATE_LIMIT="1")
    first, second = limiter(settings, user), limiter(settings, user)
    assert first.admit("x", 0) is None
    assert refusal_of(first, "x", 0).limit is LimitName.CONNECTION
    assert second.admit("x", 0) is None, "the refused event was charged to the user"
    third = limiter(settings, user)
    assert refusal_of(third, "x", 1).limit is LimitName.USER
    assert third.admit("x", 60 * S) is None, "the refused event was charged to the connection"


def test_a_601st_refused_event_in_a_minute_closes(make_settings: MakeSettings) -> None:
    limits = limiter(make_settings(GATEWAY_RATE_LIMIT="1"))
    limits.admit("x", 0)
    assert not any(refusal_of(limits, "x", i).close for i in range(1, 601))
    assert refusal_of(limits, "x", 601).close


def test_refused_events_that_are_spread_do_not_close(make_settings: MakeSettings) -> None:
    limits = limiter(make_settings(GATEWAY_RATE_LIMIT="1", GATEWAY_MAX_REFUSED_EVENTS="2"))
    refusals = [limits.admit("x", i * 25 * S) for i in range(20)]
    assert not any(refusal.close for refusal in refusals if refusal is not None)


def test_a_user_that_reconnects_keeps_its_window(make_settings: MakeSettings) -> None:
    users = windows(make_settings(GATEWAY_USER_RATE_LIMIT="1"))
    assert users.acquire("alice").admit(0) == 0
    users.release("alice", 1)
    assert users.acquire("alice").admit(2) > 0
    assert users.acquire("bob").admit(2) == 0


def test_users_are_forgotten_when_their_retention_has_passed(make_settings: MakeSettings) -> None:
    users = windows(make_settings())
    users.acquire("alice")
    users.acquire("alice")
    users.release("alice", 0)
    users.sweep(10_000 * S)
    assert len(users) == 1, "one connection is left"
    users.release("alice", 10_000 * S)
    users.sweep(10_900 * S - 1)
    assert len(users) == 1
    users.sweep(10_900 * S)
    assert len(users) == 0


def test_a_window_that_still_counts_outlives_a_short_retention(make_settings: MakeSettings) -> None:
    users = windows(make_settings(GATEWAY_USER_RETENTION_SECONDS="0"))
    users.acquire("alice").admit(0)
    users.acquire("bob")
    users.release("alice", 1)
    users.release("bob", 1)
    users.sweep(2)
    assert len(users) == 1
    users.sweep(60 * S)
    assert len(users) == 0


def test_the_next_client_of_a_transport_has_its_windows_and_another_user_s(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(GATEWAY_RATE_LIMIT="3", GATEWAY_PING_LIMIT="1")
    busy, idle = RollingWindow(1, 60 * S), RollingWindow(100, 60 * S)
    limits = limiter(settings, busy)
    assert limits.admit("x", 1) is None
    assert limits.admit("ping", 1) is None
    assert refusal_of(limits, "x", 2).limit is LimitName.USER
    following = limits.of_user(idle)
    assert refusal_of(following, "ping", 3).limit is LimitName.PING
    assert [following.admit("x", 3) is None for _ in range(3)] == [True, True, False]
