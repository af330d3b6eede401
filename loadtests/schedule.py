"""Intended times: when each thing is due, computed ahead and never moved.

    k:          0       1       2       3
    due:        |-------|-------|-------|----> first + k / rate
    sent:       |-------|-----------||--|----> late is late; the plan stays

An arrival that could not be sent when due is sent late and its delay shows; one that
was never sent is missed. Nothing is re-anchored, so a slow target cannot slow the plan.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

SECOND_NS = 1_000_000_000


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

    def missed(self, sent: int, end_ns: int) -> int:
        """Return how many arrivals were due by the end and never sent."""
        return max(0, self.due_count(end_ns) - sent)


def user_arrivals(seed: int, user: str, start_ns: int, every_s: float) -> ConstantArrival:
    """Return a user's arrivals: its own offset within one interval, the same for a seed.

    Offsets spread the users over the interval, so that they do not all ask at once.
    """
    offset = random.Random(f"{seed}:{user}").random()  # noqa: S311 - a load plan, repeatable by its seed
    return ConstantArrival(start_ns + int(offset * every_s * SECOND_NS), 1 / every_s)


class MergedArrivals:
    """Several plans as one: takes what is due, in the order in which it is due."""

    def __init__(self, plans: Sequence[ConstantArrival]) -> None:
        self.plans = tuple(plans)
        self.taken = [0] * len(self.plans)

    def next_ns(self) -> int | None:
        """Return when the next arrival is due, None without plans."""
        return min(
            (plan.due_ns(k) for plan, k in zip(self.plans, self.taken, strict=True)), default=None
        )

    def take_due(self, now_ns: int, limit: int) -> list[tuple[int, int, int]]:
        """Take at most ``limit`` arrivals due by now.

        Returns:
            (due in ns, index of the plan, number within the plan) of each, earliest first.
        """
        found: list[tuple[int, int, int]] = []
        for index, plan in enumerate(self.plans):
            first = self.taken[index]
            last = min(plan.due_count(now_ns), first + limit)
            found += [(plan.due_ns(k), index, k) for k in range(first, last)]
        found.sort()
        for _, index, _ in found[:limit]:
            self.taken[index] += 1
        return found[:limit]
