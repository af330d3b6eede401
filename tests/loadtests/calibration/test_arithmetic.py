from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadtests.calibration.arithmetic import allowed_error_ns, frozen_quantile_ns, slope

S = 1_000_000_000
MS = 1_000_000


@given(
    steady_ns=st.integers(4 * S, 20 * S),
    share=st.floats(0.05, 0.95),
    begin=st.floats(0, 1),
    q=st.floats(0.01, 1),
    base_ns=st.integers(0, 10 * MS),
)
def test_the_quantiles_of_a_freeze_are_those_of_messages_played_through_it(
    steady_ns: int, share: float, begin: float, q: float, base_ns: int
) -> None:
    frozen_ns, every_ns = round(share * steady_ns), steady_ns // 2_000
    from_ns = round(begin * (steady_ns - frozen_ns))
    until_ns = from_ns + frozen_ns
    latencies = sorted(
        base_ns + (until_ns - due_ns if from_ns <= due_ns < until_ns else 0)
        for due_ns in range(0, steady_ns, every_ns)
    )
    played_ns = latencies[min(len(latencies) - 1, int(q * len(latencies)))]
    told_ns = frozen_quantile_ns(q, frozen_ns=frozen_ns, steady_ns=steady_ns, base_ns=base_ns)
    assert abs(told_ns - played_ns) <= 3 * every_ns / share


@given(
    slope_=st.floats(0.5, 2),
    base=st.floats(0, 100),
    xs=st.lists(st.integers(0, 500), min_size=2, max_size=6, unique=True),
)
def test_the_slope_of_a_line_is_its_own_whatever_its_base(
    slope_: float, base: float, xs: list[int]
) -> None:
    assert slope([(x, base + slope_ * x) for x in xs]) == pytest.approx(slope_)


@given(st.floats(0.5, 2), st.floats(-0.02, 0.02))
def test_a_ruler_that_stretches_is_told_by_its_slope(scale: float, error: float) -> None:
    assume(abs(scale - 1) > 0.05)
    points = [(x, scale * x * (1 + error)) for x in (1.0, 5.0, 20.0, 100.0, 500.0)]
    assert abs(slope(points) - 1) > 0.02


def test_a_slope_needs_two_delays() -> None:
    with pytest.raises(ValueError, match="two different delays"):
        slope([(5.0, 5.0), (5.0, 6.0)])


def test_a_freeze_longer_than_its_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit into"):
        frozen_quantile_ns(0.5, frozen_ns=2.0, steady_ns=1.0, base_ns=0.0)


@pytest.mark.parametrize(
    ("delay_ms", "allowed_ms"), [(1, 0.3), (5, 0.3), (10, 0.3), (20, 0.6), (500, 15)]
)
def test_a_delay_may_be_off_by_three_tenths_of_a_ms_or_three_percent(
    delay_ms: float, allowed_ms: float
) -> None:
    assert allowed_error_ns(delay_ms * MS) == pytest.approx(allowed_ms * MS)
