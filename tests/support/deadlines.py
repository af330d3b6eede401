"""How long a test waits, and how: every wait is a multiple of one constant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

PROMPT_S: Final = 1.0
"""How long a server may take for what it should do at once; every wait is a multiple of it."""
DEADLINE_S: Final = 5 * PROMPT_S
"""How long anything may take before a test gives up."""
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
