from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.connection.protocol.backoff import reconnect_delay_s


@pytest.mark.parametrize(
    ("attempt", "least", "most"),
    [(0, 0.5, 1.5), (1, 1.0, 3.0), (2, 2.0, 5.0), (3, 4.0, 5.0), (10, 5.0, 5.0), (9_999, 5.0, 5.0)],
)
def test_the_delay_doubles_to_five_seconds_and_half_of_it_is_chance(
    attempt: int, least: float, most: float
) -> None:
    assert reconnect_delay_s(attempt, 0.0) == pytest.approx(least)
    assert reconnect_delay_s(attempt, 0.999_999_9) == pytest.approx(most, rel=1e-6)


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_a_client_always_waits_and_never_over_five_seconds(attempt: int, draw: float) -> None:
    assert 0.5 <= reconnect_delay_s(attempt, draw) <= 5.0
