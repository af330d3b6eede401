"""Every trap of the stock transport: ours avoids it, and the stock transport falls into it.

Both are tested, which shows that each check finds its trap. Two things are left out. aiohttp
allows a silent connection 75 s or more before its first request, which is too long for a test. The
Redis manager and the gateway's application have tests of their own.
"""

from __future__ import annotations

import asyncio

import pytest
from serving import OURS, STOCK
from traps import messages, polling, sending, sessions, surroundings
from traps.proof import Check, Trapped

TOGETHER: list[Check] = [
    *sessions.CHECKS,
    *messages.CHECKS,
    *polling.CHECKS,
    *surroundings.CHECKS,
]
"""These checks mostly wait, so the stock transport runs all of them at the same time."""
ALONE: list[Check] = [*sending.CHECKS, *surroundings.CHECKS_OF_THE_WHOLE_PROCESS]
"""These checks load the CPU or change the clock, which would disturb the others."""
CHECKS = TOGETHER + ALONE


def name_of(check: Check) -> str:
    return check.__name__.removeprefix("check_")


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
async def test_ours_avoids(check: Check) -> None:
    await check(OURS)


@pytest.fixture(scope="module")
def stock_outcomes() -> dict[Check, BaseException | None]:
    """Run the checks that do not disturb each other on the stock transport, all at once."""

    async def run_all() -> list[BaseException | None]:
        return await asyncio.gather(*(check(STOCK) for check in TOGETHER), return_exceptions=True)

    return dict(zip(TOGETHER, asyncio.run(run_all()), strict=True))


@pytest.mark.parametrize("check", TOGETHER, ids=name_of)
def test_the_stock_transport_falls_into(
    check: Check, stock_outcomes: dict[Check, BaseException | None]
) -> None:
    assert isinstance(stock_outcomes[check], Trapped), repr(stock_outcomes[check])


@pytest.mark.parametrize("check", ALONE, ids=name_of)
async def test_the_stock_transport_alone_falls_into(check: Check) -> None:
    with pytest.raises(Trapped):
        await check(STOCK)
