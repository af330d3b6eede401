"""Reconnection delays, as in socket.io-client."""

from __future__ import annotations

from typing import Final

# As in socket.io-client's Manager: the delay doubles from 1 s to at most 5 s and is varied
# randomly by up to half.
RECONNECT_FIRST_S: Final = 1.0
RECONNECT_MOST_S: Final = 5.0
RECONNECT_FACTOR: Final = 2.0
RECONNECT_JITTER: Final = 0.5


def reconnect_delay_s(attempt: int, draw: float) -> float:
    """Return the delay before a reconnection attempt, s.

    Args:
        attempt: number of failed attempts since the connection ended.
        draw: a random number, uniform in [0, 1).
    """
    delay_s = RECONNECT_FIRST_S * RECONNECT_FACTOR ** min(attempt, 30)
    delay_s *= 1 + RECONNECT_JITTER * (2 * draw - 1)
    return min(delay_s, RECONNECT_MOST_S)
