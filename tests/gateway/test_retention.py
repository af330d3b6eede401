from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.retention import Retention

RETENTION_NS = 100_000
SLOT_NS = RETENTION_NS // 1_000


@given(
    dues_ns=st.lists(st.integers(0, 3 * RETENTION_NS), max_size=50),
    steps_ns=st.lists(st.integers(1, RETENTION_NS), max_size=20),
    most=st.integers(1, 10),
)
def test_each_key_is_taken_once_when_it_is_due_and_no_sooner_than_its_slot(
    dues_ns: list[int], steps_ns: list[int], most: int
) -> None:
    retention = Retention(RETENTION_NS)
    due_of = {str(number): due_ns for number, due_ns in enumerate(dues_ns)}
    for key, due_ns in due_of.items():
        retention.add(key, due_ns)
    now_ns = 0
    for step_ns in steps_ns:
        now_ns += step_ns
        taken = retention.take_due(now_ns, most)
        assert len(taken) <= most
        assert all(due_of.pop(key) < now_ns + SLOT_NS for key in taken)
        if len(taken) < most:
            assert all(due_ns > now_ns for due_ns in due_of.values())
    assert sorted(retention.take_due(4 * RETENTION_NS, 1_000)) == sorted(due_of)


def test_the_key_that_is_due_first_is_taken_first() -> None:
    retention = Retention(RETENTION_NS)
    for key, due_ns in (("late", 5 * SLOT_NS), ("a", SLOT_NS), ("b", SLOT_NS)):
        retention.add(key, due_ns)
    assert [retention.take_first() for _ in range(3)] == [
        ("a", 2 * SLOT_NS),
        ("b", 2 * SLOT_NS),
        ("late", 6 * SLOT_NS),
    ]
    with pytest.raises(ValueError, match="empty"):
        retention.take_first()
