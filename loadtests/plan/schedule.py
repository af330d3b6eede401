"""Intended times: when each arrival is due, computed ahead and never moved.

    k:          0       1       2       3
    due:        |-------|-------|-------|----> first + k / rate
    sent:       |-------|-----------||--|----> a late arrival does not move the plan

An arrival that could not be sent when due is sent late, and its delay is recorded. One that was
never sent is missed. No time is re-anchored, so a slow target cannot slow the plan.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.plan.turns import Turns
from scenarios.schema import Arrivals

SECOND_NS = 1_000_000_000
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class ConstantArrival:
    """Arrivals at a constant rate, ``size`` of them at once; the first are due at ``first_ns``."""

    first_ns: int
    rate_per_s: float
    size: int = 1

    def due_ns(self, k: int) -> int:
        """Return when arrival ``k`` (from 0) is due. Rounding errors do not add up."""
        bursts_per_s = self.rate_per_s / self.size
        return self.first_ns + round(k // self.size * SECOND_NS / bursts_per_s)

    def due_count(self, now_ns: int) -> int:
        """Return how many arrivals are due at a moment, that moment included."""
        if now_ns < self.first_ns:
            return 0
        bursts = int((now_ns - self.first_ns) * (self.rate_per_s / self.size) / SECOND_NS) + 1
        while bursts and self.due_ns((bursts - 1) * self.size) > now_ns:
            bursts -= 1
        while self.due_ns(bursts * self.size) <= now_ns:
            bursts += 1
        return bursts * self.size


class PoissonArrival:
    """Independent arrivals: gaps are exponential with mean 1 / rate.

    The gaps follow from the seed alone. They are drawn in blocks and in one order, so the order
    of calls changes nothing.

    Args:
        first_ns: the first arrival is due one gap later, monotonic.
        rate_per_s: arrivals a second, on average.
        seed: of the gaps.
    """

    def __init__(self, first_ns: int, rate_per_s: float, seed: int | str) -> None:
        self.first_ns = first_ns
        self._mean_ns = SECOND_NS / rate_per_s
        self._draw = random.Random(seed)  # noqa: S311 - a load plan, repeatable by its seed
        self._drawn = 0.0  # not rounded: rounding errors of many gaps would add up
        self._due_ns: array[int] = array("q")

    def due_ns(self, k: int) -> int:
        """Return when arrival ``k`` (from 0) is due."""
        while len(self._due_ns) <= k:
            self._draw_block()
        return self._due_ns[k]

    def due_count(self, now_ns: int) -> int:
        """Return how many arrivals are due at a moment, that moment included."""
        while not self._due_ns or self._due_ns[-1] <= now_ns:
            self._draw_block()
        return bisect_right(self._due_ns, now_ns)

    def _draw_block(self) -> None:
        for _ in range(_BLOCK):
            self._drawn += self._draw.expovariate(1.0) * self._mean_ns
            self._due_ns.append(self.first_ns + round(self._drawn))


@dataclass(frozen=True, slots=True)
class TurnArrival:
    """A plan in load time, moved into the slices of one side.

    Attributes:
        plan: intended times in load time.
        turns: the slices.
    """

    plan: ConstantArrival | PoissonArrival
    turns: Turns

    def due_ns(self, k: int) -> int:
        """Return when arrival ``k`` (from 0) is due, monotonic."""
        return self.turns.at_ns(self.plan.due_ns(k))

    def due_count(self, now_ns: int) -> int:
        """Return how many arrivals are due at a moment, that moment included."""
        count = self.plan.due_count(self.turns.load_ns(now_ns))
        while count and self.due_ns(count - 1) > now_ns:
            count -= 1  # due at the beginning of the side's next slice
        return count


ArrivalPlan = ConstantArrival | PoissonArrival | TurnArrival
"""When each of a sequence of arrivals is due. A later arrival is never due earlier."""


def plan_of(
    arrivals: Arrivals,
    *,
    first_ns: int,
    rate_per_s: float,
    seed: int | str,
    offset_ns: int = 0,
    turns: Turns | None = None,
) -> ArrivalPlan:
    """Return the plan for a scenario's arrivals.

    Args:
        arrivals: constant, poisson or burst.
        first_ns: when the plan begins, monotonic.
        rate_per_s: arrivals a second, on average.
        seed: of a Poisson plan.
        offset_ns: from the beginning until a constant plan, or the first burst, is due; a Poisson
            plan's first arrival is one gap later. With turns it is load time: plans that begin
            in a slice of the other side keep their distances.
        turns: the only slices in which arrivals are due; None for all the time.
    """
    begin_ns = (first_ns if turns is None else turns.load_ns(first_ns)) + offset_ns
    plan: ConstantArrival | PoissonArrival
    if arrivals.kind == "poisson":
        plan = PoissonArrival(begin_ns, rate_per_s, seed)
    else:
        size = arrivals.burst_size if arrivals.kind == "burst" else 1
        plan = ConstantArrival(begin_ns, rate_per_s, size)
    return plan if turns is None else TurnArrival(plan, turns)


def count_missed(plan: ArrivalPlan, sent: int, end_ns: int) -> int:
    """Return how many arrivals were due by the end and never sent.

    Args:
        plan: the arrivals.
        sent: how many were sent.
        end_ns: when requests ended, monotonic.
    """
    return max(0, plan.due_count(end_ns) - sent)


def user_arrivals(
    seed: int,
    user: str,
    start_ns: int,
    every_s: float,
    arrivals: Arrivals | None = None,
    turns: Turns | None = None,
) -> ArrivalPlan:
    """Return a user's arrivals, the same for a seed.

    With constant arrivals each user begins at its own offset within one interval, so that users
    do not all send at once. A Poisson plan needs no offset, and bursts are meant to coincide.

    Args:
        seed: of the scenario.
        user: the user's id.
        start_ns: when the plan begins, monotonic.
        every_s: mean time between two arrivals.
        arrivals: how they are spread; None means constant.
        turns: the only slices in which they are due; None for all the time.
    """
    arrivals = arrivals or Arrivals()
    name = f"{seed}:{user}"
    offset = random.Random(name).random()  # noqa: S311 - a load plan, repeatable by its seed
    spread = offset * every_s if arrivals.kind == "constant" else 0.0
    return plan_of(
        arrivals,
        first_ns=start_ns,
        rate_per_s=1 / every_s,
        seed=name,
        offset_ns=int(spread * SECOND_NS),
        turns=turns,
    )


class MergedArrivals:
    """Several plans as one: takes due arrivals in order of time.

    Args:
        plans: the plans, each taken from its beginning.
        end_ns: nothing is due from then on; None for plans without an end.
    """

    def __init__(self, plans: Sequence[ArrivalPlan], end_ns: int | None = None) -> None:
        self.end_ns = end_ns
        self.plans = tuple(plans)
        self.taken = [0] * len(self.plans)

    def next_ns(self) -> int | None:
        """Return when the next arrival is due; None when no more are due."""
        earliest_ns = min(
            (plan.due_ns(k) for plan, k in zip(self.plans, self.taken, strict=True)), default=None
        )
        is_over = self.end_ns is not None and earliest_ns is not None and earliest_ns >= self.end_ns
        return None if is_over else earliest_ns

    def take_due(self, now_ns: int, limit: int) -> list[tuple[int, int, int]]:
        """Take at most ``limit`` arrivals due by now.

        Returns:
            (due in ns, index of the plan, number within the plan) of each, earliest first.
        """
        if self.end_ns is not None:
            now_ns = min(now_ns, self.end_ns - 1)
        found: list[tuple[int, int, int]] = []
        for index, plan in enumerate(self.plans):
            first = self.taken[index]
            last = min(plan.due_count(now_ns), first + limit)
            found += [(plan.due_ns(k), index, k) for k in range(first, last)]
        found.sort()
        for _, index, _ in found[:limit]:
            self.taken[index] += 1
        return found[:limit]
