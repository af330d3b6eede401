"""The answer of a capacity search, read from the run directory of its last trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from loadtests.results import CAPACITY, FORMAT_VERSION, Verdict
from reports.report_errors import DamagedCapacityError
from reports.run_frames import RunFrames

Bound = Literal["gateway", "generator", "asked"]
_BOUNDS: Final[tuple[Bound, ...]] = ("gateway", "generator", "asked")
_PLACES_UP_TO: Final = 10


@dataclass(frozen=True, kw_only=True)
class CapacityTrial:
    """One trial of the search: load, length, verdict and its first reason."""

    load: float
    is_long: bool
    verdict: Verdict
    why: str


@dataclass(frozen=True, kw_only=True)
class CapacityAnswer:
    """The largest load within the budgets, and what limited it.

    Attributes:
        unit: of every load, such as ``publications a second``.
        low: the largest load that kept the budgets; None without one.
        high: the smallest load that did not; None without one.
        is_confirmed: whether a long trial at ``low`` kept them too.
        bound: what limited the load: the gateway, the generator, or ``asked`` for the scenario's
            highest load.
        why: the first reason of the trial that limited it.
        at_least: the required load; None without one.
        trials: in order of time.
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
    """Return the answer in a run's directory; None without one.

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
        raise ValueError(f"has a load of {value!r}, which is not a number over 0")
    return found


def _load_or_none(value: Any) -> float | None:
    return None if value is None else _load(value)


def load_words(load: float) -> str:
    """Return a load as text: ``1,240``, or ``3.2`` when it is small."""
    is_small = load < _PLACES_UP_TO and not load.is_integer()
    return f"{load:,.2g}" if is_small else f"{load:,.0f}"


def explain_capacity(answer: CapacityAnswer) -> str:
    """Return the answer in a sentence, with what limited the load."""
    unit, why = answer.unit, answer.why
    required = f"; at least {load_words(answer.at_least)} required" if answer.at_least else ""
    if answer.low is None:
        if answer.high is None:
            return f"The capacity is unknown: {why}{required}"
        if answer.bound == "generator":
            told = f"The generator cannot measure even {load_words(answer.high)} {unit}"
        else:
            told = f"Carries less than {load_words(answer.high)} {unit}"
        return f"{told}: {why}{required}"
    doubt = "" if answer.is_confirmed else ", not confirmed by a long trial"
    if answer.bound == "gateway" and answer.high is not None:
        loads = f"{load_words(answer.low)} to {load_words(answer.high)}"
        return f"Carries {loads} {unit}{doubt}; limit: {why}{required}"
    told = f"Carries at least {load_words(answer.low)} {unit}{doubt}"
    if answer.bound == "generator":
        return f"{told}; limit of the generator: {why}{required}"
    return f"{told}; no higher load was tried{required}"
