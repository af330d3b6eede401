"""Find the largest load that keeps every budget. Pure: the caller runs the trials.

    ramp        start, 2 x start, 4 x start … until a trial does not PASS, or the highest load
    bisection   between the last PASS and the first failure, in ratios, until they are close
    confirm     one long trial at the lower end. If it does not PASS, the load goes down and the
                long trial is repeated: by the resolution when the gateway failed, by half when
                the generator did, whose limit need not be known

An undecided trial is repeated once and then counts as failed. So is a trial that the generator
spoiled (INVALID), but it does not blame the gateway: the capacity is then "at least" the lower
end, unless the gateway itself failed at a larger load, which then is the upper end.
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
    """The reason why the capacity is not larger."""

    GATEWAY = "gateway"  # a budget was broken or undecided
    GENERATOR = "generator"  # the laboratory could not generate or measure more
    ASKED = "asked"  # the highest load passed


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial to run: a load, for a short or a long time."""

    load: float
    is_long: bool


@dataclass(frozen=True, slots=True)
class Tried:
    """A finished trial: its verdict and the reason."""

    trial: Trial
    verdict: Verdict
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The capacity as an interval of loads.

    Attributes:
        low: the largest load that passed; None when none did.
        high: the smallest load that did not pass, by the gateway's fault if any did and some load
            passed; None when every load passed.
        is_confirmed: whether the long trial at ``low`` passed too.
        bound: the reason for the upper end.
        why: the reason of the trial at ``high``, or of the last trial.
    """

    low: float | None
    high: float | None
    is_confirmed: bool
    bound: Bound
    why: str


class Search:
    """Chooses one trial after another.

    Args:
        start: the first load, over 0.
        highest: the largest load to try.
        resolution: the width of the final interval as a share: 0.1 is 10 %.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, start: float, highest: float, resolution: float) -> None:
        if not 0 < start <= highest:
            raise ValueError(
                f"the search goes from {start:g} to {highest:g}; write 0 < start <= highest"
            )
        if resolution <= 0:
            raise ValueError(f"the resolution is {resolution:g}; write a share over 0, such as 0.1")
        self.tried: list[Tried] = []
        self._highest = highest
        self._resolution = resolution
        self._next = start
        self._low: float | None = None
        self._high: Tried | None = None
        self._over_itself: Tried | None = None  # the smallest that the gateway failed
        self._confirmations = 0
        self._is_confirmed = False

    def next_trial(self) -> Trial | None:
        """Return the next trial to run; None when the search is over."""
        if self._is_over() or len(self.tried) >= MOST_TRIALS:
            return None
        return Trial(self._next, self._is_confirming())

    def tell(self, verdict: Verdict, why: str) -> None:
        """Take the verdict on the trial that ``next_trial`` returned.

        Raises:
            RuntimeError: the search is over.
        """
        trial = self.next_trial()
        if trial is None:
            raise RuntimeError("the search is over; no trial is expected")
        told = Tried(trial, verdict, why)
        is_second = bool(self.tried) and self.tried[-1].trial == trial
        self.tried.append(told)
        if verdict in (Verdict.INCONCLUSIVE, Verdict.INVALID) and not is_second:
            return  # the same trial again
        if trial.is_long:
            self._confirmations += 1
        if verdict is Verdict.PASS:
            self._take_kept(trial)
        else:
            self._take_over(told)

    def found(self) -> Found:
        """Return the interval so far; it is final once ``next_trial`` returns None."""
        if self._high is None:
            bound, why = Bound.ASKED, self.tried[-1].why if self.tried else "no trial was run"
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
            self._low = None  # the long trial failed here, so the short one proves nothing
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
