"""When to come back: the law of socket.io-client."""

from __future__ import annotations

from typing import Final

# The law of socket.io-client's Manager: delay doubles from 1 s to at most 5 s,
# and half of it, up or down, is chance.
RECONNECT_FIRST_S: Final = 1.0
RECONNECT_MOST_S: Final = 5.0
RECONNECT_FACTOR: Final = 2.0
RECONNECT_JITTER: Final = 0.5


def reconnect_delay_s(attempt: int, draw: float) -> float:
    """Return how long to wait before a reconnection attempt.

    Args:
        attempt: how many have failed since the connection was lost, from 0.
        draw: uniform in [0, 1).
    """
    delay_s = RECONNECT_FIRST_S * RECONNECT_FACTOR ** min(attempt, 30)
    delay_s *= 1 + RECONNECT_JITTER * (2 * draw - 1)
    return min(delay_s, RECONNECT_MOST_S)
