"""How long a test waits, and how: every wait is a multiple of one constant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

PROMPT_S: Final = 3.0
"""How long a server may take for what it should do at once; every wait is a multiple of it.

A wait that ends well costs nothing, so it is long enough for a host with ten times the load.
"""
DEADLINE_S: Final = 5 * PROMPT_S
"""How long anything else may take before a test gives up."""
RUN_S: Final = 8 * DEADLINE_S
"""How long a command with processes of its own may take."""
TEST_S: Final = 3 * RUN_S
"""How long a test may take with its fixtures; pytest ends it then."""
QUIET_S: Final = PROMPT_S / 10
"""How long a test listens for what must not come."""
POLL_S: Final = 0.01


async def poll_until(
    condition: Callable[[], object], what: str, timeout_s: float = DEADLINE_S
) -> None:
    """Poll until a condition holds; a failure names ``what`` was awaited."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout_s
    while not condition():
        assert clock() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(POLL_S)


def until(condition: Callable[[], object], what: str = "", timeout_s: float = DEADLINE_S) -> None:
    """Poll until a condition holds, without an event loop; a failure names ``what``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(POLL_S)
