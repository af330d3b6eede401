"""What is kept of a user's private events is whole after some number, and bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.brokers.private_events import PrivateEvents


def filled(numbers: range, size: int = 10, **bounds: int) -> PrivateEvents:
    events = PrivateEvents(**bounds)
    for number in numbers:
        events.keep("al", number, packet(number, size))
    return events


def packet(number: int, size: int = 10) -> bytes:
    return f"{number}".encode().ljust(size)


def test_what_was_missed_is_returned_in_order() -> None:
    events = filled(range(1, 6))
    assert events.after("al", 2, 5) == [packet(3), packet(4), packet(5)]
    assert events.after("al", 0, 5) == [packet(n) for n in range(1, 6)]


def test_a_client_that_missed_nothing_gets_nothing_whether_anything_is_kept_or_not() -> None:
    assert filled(range(1, 6)).after("al", 5, 5) == []
    assert PrivateEvents().after("al", 5, 5) == []


def test_only_the_last_events_are_kept_and_never_a_part_of_what_was_missed() -> None:
    events = filled(range(1, 301))
    assert events.after("al", 43, 300) is None
    assert len(events.after("al", 44, 300) or ()) == 256


def test_only_the_last_bytes_are_kept() -> None:
    events = filled(range(1, 11), size=20_000)
    assert events.after("al", 6, 10) is None
    assert events.after("al", 7, 10) == [packet(n, 20_000) for n in (8, 9, 10)]


def test_an_event_over_the_bound_leaves_nothing_and_the_next_ones_are_kept() -> None:
    events = filled(range(1, 3))
    events.keep("al", 3, b"x" * 65_537)
    assert events.after("al", 2, 3) is None
    events.keep("al", 4, packet(4))
    assert events.after("al", 3, 4) == [packet(4)]
    assert events.after("al", 2, 4) is None


def test_events_before_a_gap_are_not_kept() -> None:
    events = filled(range(1, 4))
    events.keep("al", 5, packet(5))
    assert events.after("al", 3, 5) is None
    assert events.after("al", 4, 5) == [packet(5)]
    assert events.after("al", 4, 6) is None, "the last one is not here"


def test_the_users_whose_events_were_used_least_recently_go_first() -> None:
    events = PrivateEvents(most_bytes=4_000)
    for user in ("al", "bo", "cy"):
        events.keep(user, 1, b"x" * 600)
    assert events.after("al", 0, 1)
    events.keep("di", 1, b"x" * 600)
    assert [user for user in ("al", "bo", "cy", "di") if events.after(user, 0, 1)] == [
        "al",
        "cy",
        "di",
    ]


def test_a_forgotten_user_leaves_nothing() -> None:
    events = filled(range(1, 6))
    events.forget("al")
    events.forget("nobody")
    assert (events.after("al", 2, 5), len(events), events.memory) == (None, 0, 0)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 400), st.integers(0, 9).map(bool)),
        max_size=60,
    )
)
def test_whatever_is_published_what_is_returned_is_whole_and_the_bounds_hold(
    published: list[tuple[str, int, bool]],
) -> None:
    events = PrivateEvents(most_events=5, most_user_bytes=900, most_bytes=3_000)
    sent: dict[str, list[bytes]] = {user: [] for user in "abc"}
    for user, size, is_kept in published:
        number = len(sent[user]) + 1
        sent[user].append(packet(number, size))
        if is_kept:
            events.keep(user, number, sent[user][-1])
        for other, all_of_it in sent.items():
            for after in range(len(all_of_it) + 1):
                missed = events.after(other, after, len(all_of_it))
                assert missed is None or missed == all_of_it[after:]
                assert len(missed or ()) <= 5
                assert sum(map(len, missed or ())) <= 900
        assert events.memory <= 3_000
