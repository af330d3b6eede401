"""A gateway that is asked to stop ends in time, whatever its clients do."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from deadlines import DEADLINE_S

from gateway.server.app import stop_when


class Stuck:
    """A gateway whose stop never ends."""

    def __init__(self, shutdown_s: float) -> None:
        self.settings: Any = SimpleNamespace(shutdown_seconds=shutdown_s)
        self.is_stopping = asyncio.Event()

    async def stop(self) -> None:
        self.is_stopping.set()
        await asyncio.Event().wait()


async def test_a_stop_takes_no_longer_than_the_setting() -> None:
    asked = asyncio.Event()
    asked.set()
    async with asyncio.timeout(DEADLINE_S):
        assert not await stop_when(Stuck(0.05), asked, asyncio.Event())  # type: ignore[arg-type]  # all it needs


async def test_a_second_request_ends_the_stop_at_once() -> None:
    gateway, asked, hurried = Stuck(100 * DEADLINE_S), asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(stop_when(gateway, asked, hurried))  # type: ignore[arg-type]  # all it needs
        asked.set()
        await gateway.is_stopping.wait()
        hurried.set()


async def test_an_error_of_a_stop_is_not_lost() -> None:
    class Failing(Stuck):
        async def stop(self) -> None:
            raise LookupError

    asked = asyncio.Event()
    asked.set()
    with pytest.raises(LookupError):
        await stop_when(Failing(DEADLINE_S), asked, asyncio.Event())  # type: ignore[arg-type]  # all it needs
