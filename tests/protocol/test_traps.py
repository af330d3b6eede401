"""Every trap of the stock transport: ours walks past it, and the stock one walks into it.

Both sides are run, so that each check is known to find what it looks for. Left out, with the
reason: that aiohttp gives a silent connection 75 s and more before its first request takes longer
than a test may; the Redis manager and the gateway's own application have tests of their own.
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
"""They mostly wait, so that on the stock side all of them wait at the same time."""
ALONE: list[Check] = [*sending.CHECKS, *surroundings.CHECKS_OF_THE_WHOLE_PROCESS]
"""They load the processor or turn the clock, which the others would notice."""
CHECKS = TOGETHER + ALONE


def name_of(check: Check) -> str:
    return check.__name__.removeprefix("check_")


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
async def test_ours_avoids(check: Check) -> None:
    await check(OURS)


@pytest.fixture(scope="module")
def stock_outcomes() -> dict[Check, BaseException | None]:
    """Run those checks on the stock transport that do not disturb one another, all at once."""

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
