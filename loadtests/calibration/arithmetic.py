"""The readings that a calibration must find, as arithmetic. Pure.

Publications are due at even intervals while the gateway is frozen for ``F`` of a steady phase
of ``S``. It delivers nothing for ``F``, then everything. A message due at ``u`` into the freeze
waits ``F − u``. So the share ``f = F / S`` of all messages has latencies spread evenly over
0 … F, and the rest keep the base latency:

    quantile(q) = base                           q ≤ 1 − f
    quantile(q) = base + F × (q − (1 − f)) / f   q > 1 − f
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import linear_regression
from typing import Final

ABSOLUTE_NS: Final = 300_000
RELATIVE: Final = 0.03
SLOPE_ERROR: Final = 0.02


def allowed_error_ns(delay_ns: float) -> float:
    """Return the error that a reading of a delay may have, ns: max(0.3 ms, 3 %)."""
    return max(ABSOLUTE_NS, RELATIVE * delay_ns)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through ``(set, read)`` points.

    Raises:
        ValueError: fewer than two different values were set.
    """
    if len({x for x, _ in points}) < 2:
        raise ValueError("a slope needs two different delays")
    return linear_regression(*zip(*points, strict=True)).slope


def frozen_quantile_ns(q: float, *, frozen_ns: float, steady_ns: float, base_ns: float) -> float:
    """Return the latency quantile after a freeze inside the steady phase, ns.

    Args:
        q: the quantile, 0 to 1.
        frozen_ns: length of the freeze.
        steady_ns: length of the steady phase.
        base_ns: the latency without a freeze.

    Raises:
        ValueError: the freeze is not shorter than the phase.
    """
    if not 0 < frozen_ns < steady_ns:
        raise ValueError(f"a freeze of {frozen_ns:g} ns does not fit into {steady_ns:g} ns")
    share = frozen_ns / steady_ns
    beyond = q - (1 - share)
    return base_ns if beyond <= 0 else base_ns + frozen_ns * beyond / share
