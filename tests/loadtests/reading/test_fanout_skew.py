"""Fan-out skew against what each publication's copies really are."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from loadtests.reading.batches import Batch
from loadtests.reading.fanout_skew import QUIET_NS, FanoutSkew
from loadtests.reading.intake import Intake

COPIES = st.lists(
    st.tuples(st.integers(0, 2 * QUIET_NS), st.integers(1, 4), st.booleans()), max_size=40
)


def batches(copies: list[tuple[int, int, bool]], rated_from: int = 1_000) -> list[Batch]:
    """Return batches of copies (read stamp, number, whether a batch ends here).

    Each second copy goes to owner 1 from the one numbered ``rated_from``.
    """
    intake, found = Intake(), []
    for count, (stamp_ns, number, is_end) in enumerate(copies):
        owner = int(count >= rated_from and count % 2)
        intake.take(stamp_ns, owner, "price:update", {"symbol": "S", "seq": number, "ts": 1})
        batch = intake.drain() if is_end else None
        if batch is not None:
            found.append(batch)
    last = intake.drain()
    return found if last is None else [*found, last]


@given(COPIES)
def test_copies_in_whatever_batches_give_first_to_last_once(
    copies: list[tuple[int, int, bool]],
) -> None:
    copies.sort()
    reads_ns: dict[int, list[int]] = defaultdict(list)
    for stamp_ns, number, _ in copies:
        reads_ns[number].append(stamp_ns)
    skew = FanoutSkew()
    for batch in batches(copies):
        skew.take(batch)
    spans_ns, _ = skew.close()
    expected = [max(each) - min(each) for each in reads_ns.values() if len(each) > 1]
    assert sorted(spans_ns.tolist()) == sorted(expected)
    assert skew.close()[0].tolist() == []


@given(COPIES)
def test_copies_of_users_with_a_rate_do_not_count(copies: list[tuple[int, int, bool]]) -> None:
    copies.sort()
    others, all_but = FanoutSkew(), FanoutSkew()
    for batch in batches(copies, rated_from=0):
        all_but.take(batch, {1})
    for batch in batches(copies[::2]):
        others.take(batch, {1})
    assert sorted(all_but.close()[0].tolist()) == sorted(others.close()[0].tolist())


def test_a_publication_waits_until_nothing_of_it_comes_any_more() -> None:
    skew = FanoutSkew()
    (first,) = batches([(0, 1, False), (10, 1, False), (20, 2, True)])
    skew.take(first)
    assert skew.settle(20)[0].tolist() == []
    (second,) = batches([(QUIET_NS // 2, 2, True)])
    skew.take(second)
    spans_ns, moments_ns = skew.settle(QUIET_NS + 30)
    assert spans_ns.tolist() == [10]
    assert moments_ns.tolist() == [10]
    spans_ns, moments_ns = skew.settle(2 * QUIET_NS + 30)
    assert spans_ns.tolist() == [QUIET_NS // 2 - 20]
    assert moments_ns.tolist() == [QUIET_NS // 2]


def test_a_single_copy_tells_nothing() -> None:
    skew = FanoutSkew()
    (batch,) = batches([(0, 1, False), (5, 2, True)])
    skew.take(batch)
    assert skew.close()[0].tolist() == []


def test_nothing_taken_is_nothing_told() -> None:
    skew = FanoutSkew()
    assert skew.settle(0)[0].tolist() == []
    assert skew.settle(5 * QUIET_NS)[0].tolist() == []
