"""What a comparison of two gateways consists of: its sides, how they run, and its looks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from loadtests.supervision.gateway_command import GatewayCommand, NoGateway, parse_gateway
from loadtests.supervision.request import RunRequest
from scenarios.alternation import ALTERNATING, why_not_alternating
from scenarios.schema import Scenario

FEWEST_PAIRS: Final = 6
"""The fewest pairs that give a 95 % interval (``docs/gate.md``)."""
MOST_PAIRS: Final = 10
"""The most pairs by default: about five minutes with a steady phase of twelve seconds."""
_FIRST_LOOK: Final = 8
Side = Literal["base", "head"]
SIDES: Final[tuple[Side, Side]] = ("base", "head")


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The files that a comparison writes; None writes none."""

    junit: Path | None = None
    summary: Path | None = None
    json: Path | None = None
    comment: Path | None = None

    def named(self) -> dict[str, Path | None]:
        """Return each file by its option, which ``python -m reports.compare`` has too."""
        return {f"--{name}": path for name, path in asdict(self).items()}

    def arguments(self) -> list[str]:
        """Return the files as arguments of ``python -m reports.compare``."""
        return [word for name, path in self.named().items() if path for word in (name, str(path))]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One side: a gateway to start, or one that already runs.

    Attributes:
        gateway: the command that starts it.
        target: URL of a running gateway, which is used instead; None starts one.
    """

    gateway: GatewayCommand = field(default_factory=GatewayCommand)
    target: str | None = None

    def describe(self) -> dict[str, object]:
        """Return what ``plan.json`` says of it."""
        return {"name": self.target or self.gateway.name, "settings": dict(self.gateway.settings)}


@dataclass(frozen=True, kw_only=True)
class Contest:
    """A comparison of two gateways.

    Attributes:
        scenario: the scenario file of every run.
        runs: the folder in which the comparison creates its own.
        sides: base and head.
        pairs: the most pairs; fewer when the budgets are decided before.
        budgets: a file that overrides the scenario's budgets.
        outputs: copies of the result files in the comparison's folder.
    """

    scenario: Path
    runs: Path
    sides: Mapping[Side, Contestant]
    pairs: int = MOST_PAIRS
    budgets: Path | None = None
    outputs: Outputs = field(default_factory=Outputs)

    def describe(self) -> dict[str, object]:
        """Return what ``plan.json`` says of it."""
        sides = {str(side): one.describe() for side, one in self.sides.items()}
        return {"scenario": str(self.scenario), "pairs": self.pairs, **sides}

    def request(self, side: Side, directory: Path, turn: Path | None = None) -> RunRequest:
        """Return the request for a run of one side.

        Args:
            side: base or head.
            directory: the comparison's folder.
            turn: the file that announces the run to the other side; None for a block.
        """
        return RunRequest(
            scenario=self.scenario,
            runs=directory / side,
            target=self.sides[side].target,
            gateway=self.sides[side].gateway,
            is_judged=False,
            turn=turn,
        )


@dataclass(frozen=True, kw_only=True)
class Methods:
    """How the pairs of a comparison run.

    Attributes:
        in_slices: whether both sides run at the same time, for what slices measure.
        in_blocks: whether the sides also run one after the other, for the rest.
    """

    in_slices: bool
    in_blocks: bool

    @property
    def words(self) -> str:
        """How the pairs run, in words."""
        if not self.in_slices:
            return "one side after the other, ABBA"
        rest = "; then one after the other, for the rest" if self.in_blocks else ""
        return f"the load alternates between both each 230 ms{rest}"


def parse_contestant(text: str, settings: Sequence[str] = ()) -> Contestant:
    """Return the side that a text names.

    Args:
        text: a checkout, a wheel, a command, or the URL of a running gateway.
        settings: ``KEY=VALUE`` of its process, over the scenario's settings.

    Raises:
        NoGateway: the text names no gateway, or a setting is not valid.
    """
    pairs = [setting.partition("=") for setting in settings]
    for (name, equals, _), setting in zip(pairs, settings, strict=True):
        if not equals or not name:
            raise NoGateway(f"{setting!r} is no setting: write KEY=VALUE")
    own = {name: value for name, _, value in pairs}
    if text.startswith(("http://", "https://")):
        if own:
            raise NoGateway(f"{text} already runs, so it takes no settings: {', '.join(own)}")
        return Contestant(target=text)
    return Contestant(gateway=replace(parse_gateway(text), settings=own))


def looks(pairs: int) -> list[int]:
    """Return after how many pairs the comparison is judged: from two thirds of them, each second.

    An earlier look could decide nothing: its share of the error (``reports.spending``) is smaller
    than the smallest level that so few pairs have. So the first is after 8 pairs at least.

    Args:
        pairs: the most pairs.
    """
    first = min(pairs, max(_FIRST_LOOK, -(-2 * pairs // 3)))
    return sorted({*range(first, pairs, 2), pairs})


def order(pair: int) -> tuple[Side, Side]:
    """Return the sides of a pair (from 1) in the order in which they start, base first in odd ones.

    The second block of a pair meets a machine that is warmer or busier. Base and head take
    turns in that place, so that a drift favours neither.
    """
    return SIDES if pair % 2 else (SIDES[1], SIDES[0])


def methods_for(scenario: Scenario) -> Methods:
    """Return how to run the pairs of a scenario: by what its relative budgets judge."""
    metrics = {budget.metric for budget in scenario.budgets if budget.is_relative}
    if why_not_alternating(scenario) or (metrics and not metrics & ALTERNATING):
        return Methods(in_slices=False, in_blocks=True)
    return Methods(in_slices=True, in_blocks=bool(metrics - ALTERNATING))
