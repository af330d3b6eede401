"""The search for the largest load that keeps every budget. Pure: it asks for trials.

    ramp        start, start x 2, x 4 … until a trial is no PASS, or the highest load
    bisection   between the last PASS and the first other, in ratios, until they are close
    confirm     one long trial at the lower end; when that is no PASS, a step down, again:
                a narrow one where the gateway was over, half the load where the generator was,
                as its limit need not be found, only left behind

What is not shown to be within is not within: an undecided trial is tried once more and then
counts as over. A trial that the generator spoiled (INVALID) is tried once more too, and then
bounds the search from above without blaming the gateway: the answer is "at least",
unless the gateway itself was over at a larger load, which then is the upper end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loadtests.results import Verdict

GROWTH: Final = 2.0
MOST_CONFIRMATIONS: Final = 3
MOST_TRIALS: Final = 40


class Bound(StrEnum):
    """What kept the load from being larger."""

    GATEWAY = "gateway"  # a budget was broken, or could not be shown to be kept
    GENERATOR = "generator"  # the laboratory could not make or measure more
    ASKED = "asked"  # nobody asked for more


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial that is wanted: a load, for a short time or for a long one."""

    load: float
    is_long: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial and what came of it; ``why`` is in words."""

    trial: Trial
    verdict: Verdict
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The answer.

    Attributes:
        low: the largest load that a trial kept; None when none did.
        high: the smallest that was not shown to be kept, by the gateway's own fault where one is
            known and some load is kept; None when nothing bound it.
        is_confirmed: whether the long trial at ``low`` kept it too.
        bound: what bound it.
        why: the words of the trial at ``high``; of the last one when there is none.
    """

    low: float | None
    high: float | None
    is_confirmed: bool
    bound: Bound
    why: str


class Search:
    """Asks for one trial after the other.

    Args:
        start: the first load, over 0.
        highest: the largest load that is tried.
        resolution: how close the ends of the interval come, as a share: 0.1 is 10 %.

    Raises:
        ValueError: the three make no search.
    """

    def __init__(self, start: float, highest: float, resolution: float) -> None:
        if not 0 < start <= highest:
            raise ValueError(f"a search from {start:g} to {highest:g}: write 0 < start <= highest")
        if resolution <= 0:
            raise ValueError(f"a resolution of {resolution:g}; it is over 0, such as 0.1")
        self.tried: list[Tried] = []
        self._highest = highest
        self._resolution = resolution
        self._next = start
        self._low: float | None = None
        self._high: Tried | None = None
        self._over_itself: Tried | None = None  # the smallest that the gateway did not keep
        self._confirmations = 0
        self._is_confirmed = False

    def next_trial(self) -> Trial | None:
        """Return the trial that is wanted now, None when the search is over."""
        if self._is_over() or len(self.tried) >= MOST_TRIALS:
            return None
        return Trial(self._next, self._is_confirming())

    def tell(self, verdict: Verdict, why: str) -> None:
        """Tell what came of the trial that was wanted.

        Raises:
            RuntimeError: none was.
        """
        trial = self.next_trial()
        if trial is None:
            raise RuntimeError("the search is over; nobody asked for a trial")
        told = Tried(trial, verdict, why)
        is_second = bool(self.tried) and self.tried[-1].trial == trial
        self.tried.append(told)
        if verdict in (Verdict.INCONCLUSIVE, Verdict.INVALID) and not is_second:
            return  # once more
        if trial.is_long:
            self._confirmations += 1
        if verdict is Verdict.PASS:
            self._take_kept(trial)
        else:
            self._take_over(told)

    def found(self) -> Found:
        """Return what is known so far; the answer once ``next_trial`` gives None."""
        if self._high is None:
            bound, why = Bound.ASKED, self.tried[-1].why if self.tried else "nothing was tried"
            return Found(
                low=self._low, high=None, is_confirmed=self._is_confirmed, bound=bound, why=why
            )
        high = self._high
        if self._low is not None and self._over_itself is not None:
            high = self._over_itself
        return Found(
            low=self._low,
            high=high.trial.load,
            is_confirmed=self._is_confirmed,
            bound=Bound.GENERATOR if high.verdict is Verdict.INVALID else Bound.GATEWAY,
            why=high.why,
        )

    def _take_kept(self, trial: Trial) -> None:
        self._low = trial.load
        if trial.is_long:
            self._is_confirmed = True
        elif self._high is not None:
            self._bisect()
        else:
            self._next = min(trial.load * GROWTH, self._highest)

    def _take_over(self, told: Tried) -> None:
        self._high = told
        spoiled = told.verdict is Verdict.INVALID
        if not spoiled:
            self._over_itself = told
        if told.trial.is_long:
            self._low = None  # not kept for long: the short trial below it is no proof either
            self._next = told.trial.load / (GROWTH if spoiled else 1 + self._resolution)
        elif self._low is not None:
            self._bisect()

    def _bisect(self) -> None:
        if self._low is not None and self._high is not None:
            between = float((self._low * self._high.trial.load) ** 0.5)
            self._next = self._low if self._is_close() else between

    def _is_close(self) -> bool:
        return (
            self._low is not None
            and self._high is not None
            and self._high.trial.load <= self._low * (1 + self._resolution) * (1 + 1e-9)
        )

    def _is_confirming(self) -> bool:
        if self._confirmations:
            return True
        return self._is_close() or (self._high is None and self._low == self._highest)

    def _is_over(self) -> bool:
        if self._is_confirmed or self._confirmations >= MOST_CONFIRMATIONS:
            return True
        return self._low is None and self._high is not None and not self._confirmations
