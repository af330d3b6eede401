"""The answer of a search for capacity, as it lies beside the trial that confirmed it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from loadtests.results import CAPACITY, FORMAT_VERSION, Verdict
from reports.errors import DamagedCapacityError
from reports.run_frames import RunFrames
from scenarios.schema import Budget

Bound = Literal["gateway", "generator", "asked"]
_BOUNDS: Final[tuple[Bound, ...]] = ("gateway", "generator", "asked")
_PLACES_UP_TO: Final = 10


@dataclass(frozen=True, kw_only=True)
class CapacityTrial:
    """One trial: its load, whether it was a long one, what it came to and why."""

    load: float
    is_long: bool
    verdict: Verdict
    why: str


@dataclass(frozen=True, kw_only=True)
class CapacityAnswer:
    """The largest load within the budgets, and what stood in the way of a larger one.

    Attributes:
        unit: of every load, in words: ``publications a second``.
        low: the largest load that was kept; None when none was.
        high: the smallest that was not shown to be kept; None when nothing bound it.
        is_confirmed: whether a long trial kept ``low`` too.
        bound: who bound it: the gateway, the generator, or nobody asked for more.
        why: the words of the trial that bound it.
        at_least: what was demanded; None where nothing was.
        trials: in the order in which they were made.
    """

    unit: str
    low: float | None
    high: float | None
    is_confirmed: bool
    bound: Bound
    why: str
    at_least: float | None
    trials: tuple[CapacityTrial, ...]


def read_capacity(run: RunFrames) -> CapacityAnswer | None:
    """Return the answer that lies in a run's directory; None where there is none.

    Raises:
        DamagedCapacityError: the file breaks the results contract.
    """
    source = run.directory / CAPACITY
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedCapacityError(source, f"cannot be read ({error})") from error
    try:
        return _answer_of(content)
    except KeyError as error:
        raise DamagedCapacityError(source, f"lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise DamagedCapacityError(source, str(error)) from error


def _answer_of(content: Mapping[str, Any]) -> CapacityAnswer:
    if content["format_version"] != FORMAT_VERSION:
        raise ValueError(f"is of format version {content['format_version']}, not {FORMAT_VERSION}")
    bound = content["bound"]
    if bound not in _BOUNDS:
        raise ValueError(f"has bound {bound!r}, not one of {', '.join(_BOUNDS)}")
    return CapacityAnswer(
        unit=str(content["unit"]),
        low=_load_or_none(content["low"]),
        high=_load_or_none(content["high"]),
        is_confirmed=bool(content["is_confirmed"]),
        bound=bound,
        why=str(content["why"]),
        at_least=_load_or_none(content["at_least"]),
        trials=tuple(
            CapacityTrial(
                load=_load(each["load"]),
                is_long=bool(each["is_long"]),
                verdict=Verdict(each["verdict"]),
                why=str(each["why"]),
            )
            for each in content["trials"]
        ),
    )


def _load(value: Any) -> float:
    found = float(value)
    if not 0 < found < float("inf"):
        raise ValueError(f"has a load of {value!r}; a load is a number over 0")
    return found


def _load_or_none(value: Any) -> float | None:
    return None if value is None else _load(value)


def load_words(load: float) -> str:
    """Return a load as people read it: ``1,240``, and ``3.2`` where it is small."""
    is_small = load < _PLACES_UP_TO and not load.is_integer()
    return f"{load:,.2g}" if is_small else f"{load:,.0f}"


def explain_capacity(answer: CapacityAnswer, budgets: tuple[Budget, ...] = ()) -> str:
    """Return the answer in a sentence, with what bound it.

    Args:
        answer: of the search.
        budgets: of the scenario; where one of them bound the load, its metric is named.
    """
    unit = answer.unit
    demanded = f"; {load_words(answer.at_least)} were demanded" if answer.at_least else ""
    if answer.low is None:
        if answer.high is None:
            return f"The capacity is not known: {answer.why}{demanded}"
        if answer.bound == "generator":
            told = f"The generator could not measure even {load_words(answer.high)} {unit}"
            return f"{told}: {answer.why}{demanded}"
        over = f"Not even {load_words(answer.high)} {unit} were shown to be carried"
        return f"{over}; bound: {_bound_words(answer.why, budgets)}{demanded}"
    doubt = "" if answer.is_confirmed else ", not confirmed by a long trial"
    if answer.bound == "gateway" and answer.high is not None:
        told = f"Carries {load_words(answer.low)} to {load_words(answer.high)} {unit}{doubt}"
        return f"{told}; bound: {_bound_words(answer.why, budgets)}{demanded}"
    told = f"Carries at least {load_words(answer.low)} {unit}{doubt}"
    if answer.bound == "generator":
        return f"{told}, generator-limited: {answer.why}{demanded}"
    return f"{told}; more was not asked for{demanded}"


def _bound_words(why: str, budgets: tuple[Budget, ...]) -> str:
    """Return the metric where a budget's words begin the reason, else the reason."""
    for budget in budgets:
        if why.startswith(budget.text):
            parts = (budget.metric, budget.statistic)
            return ".".join(part for part in parts if part)
    return why
