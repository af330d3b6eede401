"""``RunBoard``: what Locust's page shows of the current run, and of its verdict afterwards.

One process may have several runs, one after the other. The board keeps the directory of each, so
that a link to an earlier report stays valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.health.live_budgets import describe_budgets
from loadtests.health.live_file import LiveFile
from loadtests.health.live_table import describe, describe_nodes
from loadtests.record.histogram import Histogram
from loadtests.record.manifest import read_json
from loadtests.results import REPORT, VERDICT
from scenarios.schema import Budget

JUDGING: Final = "The run has ended. Its tables and its report are being made."
_OF_A_NODE: Final = "clients, CPU of one core, memory and median push latency of a node"
UNJUDGED: Final = "The run has ended without a verdict: --no-report leaves it to another process."


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartLine:
    """One line of a chart: its name, the member of ``logs/live.json``, and its divisor."""

    name: str
    member: str
    per: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveChart:
    """One chart over time: its title, the unit of its values, and its lines."""

    title: str
    unit: str
    lines: tuple[ChartLine, ...]


CHARTS: Final = (
    LiveChart(
        title="Push latency",
        unit="ms",
        lines=(
            ChartLine(name="p50", member="push_p50_ns", per=1e6),
            ChartLine(name="p99", member="push_p99_ns", per=1e6),
        ),
    ),
    LiveChart(
        title="Events delivered",
        unit="a second",
        lines=(ChartLine(name="delivered", member="received"),),
    ),
    LiveChart(
        title="Heartbeats missed so far",
        unit="",
        lines=(ChartLine(name="missed", member="heartbeats_missed"),),
    ),
    LiveChart(
        title="Rate limit decisions so far",
        unit="",
        lines=(
            ChartLine(name="accepted", member="limits_accepted"),
            ChartLine(name="refused", member="limits_refused"),
            ChartLine(name="wrong", member="limits_wrong"),
        ),
    ),
    LiveChart(
        title="Gateway memory a client",
        unit="KB",
        lines=(ChartLine(name="memory", member="memory_per_client_bytes", per=1024),),
    ),
)
"""The charts of the page."""


class RunBoard:
    """The current run for the page; empty before the first."""

    def __init__(self) -> None:
        self._live: LiveFile | None = None
        self._name = ""
        self._budgets: Sequence[Budget] = ()
        self._ending = ""
        self._verdict: Mapping[str, Any] | None = None
        self._reports: dict[str, Path] = {}

    def begin(self, directory: Path, budgets: Sequence[Budget], live: LiveFile) -> None:
        """Show a new run from now on.

        Args:
            directory: the run directory.
            budgets: of the scenario.
            live: writes its newest second.
        """
        self._live, self._name, self._budgets = live, directory.name, budgets
        self._ending, self._verdict = "", None

    def end(self, *, is_judged: bool) -> None:
        """Show that the load has ended; ``is_judged`` says whether a verdict will follow."""
        self._ending = JUDGING if is_judged else UNJUDGED

    def judge(self, directory: Path) -> None:
        """Show the verdict in a run directory, or that none was made."""
        found = read_json(directory / VERDICT)
        if (directory / REPORT).exists():
            self._reports[directory.name] = directory / REPORT
        if directory.name == self._name:
            self._verdict = found
            self._ending = "" if found else "No verdict was made; Locust's log has the reason."

    def newest(self) -> Mapping[str, Any]:
        """Return the content of ``logs/live.json``; empty before the first second."""
        return self._live.newest if self._live is not None else {}

    def report(self, name: str) -> Path | None:
        """Return the report of a run of this process by the run's name; None without one."""
        return self._reports.get(name)

    def rows(self) -> list[dict[str, str]]:
        """Return the table's rows: the run's phase, then every figure."""
        live = self.newest()
        if not live:
            return []
        where = {"whose": "run", "figure": "phase", "now": str(live["phase"])}
        return [
            {**where, "meaning": f"{live['t_s']:.0f} s since the run's start"},
            *(
                {
                    "whose": str(one.part),
                    "figure": one.name,
                    "now": f"⚠ {one.text}" if one.is_bad else one.text,
                    "meaning": one.meaning,
                }
                for one in describe(live)
            ),
            *(
                {"whose": "node", "figure": name, "now": now, "meaning": _OF_A_NODE}
                for name, _, now in (line.partition("  ") for line in describe_nodes(live))
            ),
        ]

    def state(self, run: str, after_s: float) -> dict[str, Any]:
        """Return what the page's script draws.

        Args:
            run: the run that the script has points of.
            after_s: the newest of these points; it gets later ones.
        """
        live, history = self.newest(), self._live.history if self._live is not None else ()
        push = self._live.steady_push if self._live is not None else Histogram()
        since_s = after_s if run == self._name else -1.0
        members = [line.member for chart in CHARTS for line in chart.lines]
        return {
            "run": self._name,
            "phase": live.get("phase"),
            "t_s": live.get("t_s"),
            "charts": [asdict(chart) for chart in CHARTS],
            "points": [
                [point["t_s"], *(point[member] for member in members)]
                for point in history
                if point["t_s"] > since_s
            ],
            "budgets": [asdict(one) for one in describe_budgets(self._budgets, live, push)],
            "ending": self._ending,
            "verdict": self._told_verdict(),
        }

    def _told_verdict(self) -> dict[str, Any] | None:
        if self._verdict is None:
            return None
        has_report = self._name in self._reports
        return {
            "verdict": self._verdict["verdict"],
            "reasons": self._verdict["reasons"],
            "report": f"./tidegate/runs/{self._name}/{REPORT}" if has_report else None,
        }
