"""Intended times: when each thing is due, computed ahead and never moved.

    k:          0       1       2       3
    due:        |-------|-------|-------|----> first + k / rate
    sent:       |-------|-----------||--|----> late is late; the plan stays

An arrival that could not be sent when due is sent late and its delay shows; one that
was never sent is missed. Nothing is re-anchored, so a slow target cannot slow the plan.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from scenarios.schema import Arrivals

SECOND_NS = 1_000_000_000
_BLOCK = 256


class ArrivalPlan(Protocol):
    """When each of a sequence of things is due."""

    def due_ns(self, k: int) -> int:
        """Return when arrival ``k`` (from 0) is due; it never falls as ``k`` rises."""

    def due_count(self, now_ns: int) -> int:
        """Return how many arrivals are due at a moment, that moment included."""


@dataclass(frozen=True, slots=True)
class ConstantArrival:
    """Arrivals at a constant rate; the first is due at ``first_ns``."""

    first_ns: int
    rate_per_s: float

    def due_ns(self, k: int) -> int:
        """Return when arrival ``k`` (from 0) is due. Each is rounded alone: errors never add up."""
        return self.first_ns + round(k * SECOND_NS / self.rate_per_s)

    def due_count(self, now_ns: int) -> int:
        """Return how many arrivals are due at a moment, that moment included."""
        if now_ns < self.first_ns:
            return 0
        count = int((now_ns - self.first_ns) * self.rate_per_s / SECOND_NS) + 1
        while count and self.due_ns(count - 1) > now_ns:
            count -= 1
        while self.due_ns(count) <= now_ns:
            count += 1
        return count


@dataclass(frozen=True, slots=True)
class BurstArrival:
    """``size`` arrivals at once, as often as the rate demands; the first burst at ``first_ns``."""

    first_ns: int
    rate_per_s: float
    size: int

    def due_ns(self, k: int) -> int:
        """Return when arrival ``k`` (from 0) is due."""
        return self._bursts().due_ns(k // self.size)

    def due_count(self, now_ns: int) -> int:
        """Return how many arrivals are due at a moment, that moment included."""
        return self._bursts().due_count(now_ns) * self.size

    def _bursts(self) -> ConstantArrival:
        return ConstantArrival(self.first_ns, self.rate_per_s / self.size)


class PoissonArrival:
    """Arrivals that know nothing of each other: gaps are exponential with mean 1 / rate.

    The gaps follow from the seed alone and are drawn in blocks, always in the same order:
    what is asked for first, and when, changes nothing.
    """

    def __init__(self, first_ns: int, rate_per_s: float, seed: int | str) -> None:
        self.first_ns = first_ns
        self._mean_ns = SECOND_NS / rate_per_s
        self._draw = random.Random(seed)  # noqa: S311 - a load plan, repeatable by its seed
        self._drawn = 0.0  # not rounded: the errors of many gaps would add up
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


def plan_of(
    arrivals: Arrivals, *, first_ns: int, rate_per_s: float, seed: int | str
) -> ArrivalPlan:
    """Return the plan that a scenario's words mean.

    Args:
        arrivals: constant, poisson or burst.
        first_ns: when a constant plan, or the first burst, is due; a Poisson plan's first
            arrival is one gap later.
        rate_per_s: arrivals a second, on average.
        seed: of a Poisson plan.
    """
    if arrivals.kind == "poisson":
        return PoissonArrival(first_ns, rate_per_s, seed)
    if arrivals.kind == "burst":
        return BurstArrival(first_ns, rate_per_s, arrivals.burst_size)
    return ConstantArrival(first_ns, rate_per_s)


def count_missed(plan: ArrivalPlan, sent: int, end_ns: int) -> int:
    """Return how many arrivals were due by the end and never sent."""
    return max(0, plan.due_count(end_ns) - sent)


def user_arrivals(
    seed: int, user: str, start_ns: int, every_s: float, arrivals: Arrivals | None = None
) -> ArrivalPlan:
    """Return a user's arrivals: its own offset within one interval, the same for a seed.

    Offsets spread the users over the interval, so that they do not all ask at once. A
    Poisson plan needs none, and bursts are meant to fall together.
    """
    arrivals = arrivals or Arrivals()
    name = f"{seed}:{user}"
    offset = random.Random(name).random()  # noqa: S311 - a load plan, repeatable by its seed
    spread = offset * every_s if arrivals.kind == "constant" else 0.0
    return plan_of(
        arrivals, first_ns=start_ns + int(spread * SECOND_NS), rate_per_s=1 / every_s, seed=name
    )


class MergedArrivals:
    """Several plans as one: takes what is due, in the order in which it is due.

    Args:
        plans: the plans; each is taken from its own beginning.
        end_ns: nothing is due from then on; None for plans without an end.
    """

    def __init__(self, plans: Sequence[ArrivalPlan], end_ns: int | None = None) -> None:
        self.end_ns = end_ns
        self.plans = tuple(plans)
        self.taken = [0] * len(self.plans)

    def next_ns(self) -> int | None:
        """Return when the next arrival is due, None when there is none any more."""
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
