"""The steps of the proof: what is run, and how its result is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.processes import PROJECT
from loadtests.record.manifest import read_json
from scenarios.schema import read_scenario

RUNS: Final = Path("runs/proof")
FAULT_TRIALS: Final = RUNS / "faults.json"
NODE_PEER: Final = "node tests/benchmarks/transport/servers/node/laboratory.mjs"
ON_NODE: Final = (
    "steady",
    "market_open",
    "fan_out",
    "heartbeat",
    "churn",
    "reconnect_storm",
    "slow_consumers",
    "memory",
)
"""Scenarios whose features Socket.IO for Node has by itself, or with a page of code."""
_LONG: Final = ("capacity", "soak")
_AT_SIZE: Final[Mapping[str, tuple[str, ...]]] = {"rolling_restart": ("--users", "2000")}
"""Options of scenarios that the proof runs at another size."""
_TIDEGATE: Final = (sys.executable, "-m", "loadtests")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: in the table.
        command: what is run, from the project's folder.
        longest_s: it is ended after this time.
        read: makes words of its last lines of output; None takes the last line.
    """

    name: str
    command: tuple[str, ...]
    longest_s: float
    read: Callable[[], str] | None = None
    is_judged: bool = True


def steps() -> list[Step]:
    """Return all steps, in the order in which they are run."""
    shipped = sorted(path.stem for path in (PROJECT / "scenarios").glob("*.toml"))
    found = [_scenario(name, *_AT_SIZE.get(name, ())) for name in shipped if name not in _LONG]
    found += [
        _scenario("soak", "--duration", "240s"),
        Step(
            name="capacity",
            command=(
                *_TIDEGATE,
                "run",
                "scenarios/capacity.toml",
                "--runs",
                str(RUNS / "capacity"),
            ),
            longest_s=1_800,
            read=lambda: line_of(RUNS / "capacity.log", "capacity:"),
        ),
        Step(
            name="faults",
            command=(
                *(sys.executable, "-m", "tests.faults", "--runs", str(RUNS / "faults")),
                *("--json", str(FAULT_TRIALS), "--markdown", "docs/faults.md", "--resume"),
            ),
            longest_s=2_400,
        ),
        Step(
            name="faults of nodes",
            command=(
                *(sys.executable, "-m", "tests.nodes.proof"),
                *("--json", "docs/nodes-faults.json", "--markdown", "docs/nodes.md"),
            ),
            longest_s=1_200,
        ),
        Step(
            name="calibration",
            command=(*_TIDEGATE, "calibrate", "--docs", "docs/calibration.md"),
            longest_s=1_200,
        ),
        Step(
            name="hostile clients",
            command=(
                *(sys.executable, "-m", "tests.benchmarks.hostile"),
                *("--json", "docs/hostile.json", "--markdown", "docs/hostile.md"),
            ),
            longest_s=1_800,
        ),
    ]
    found += [
        Step(
            name="tests at real sizes",
            command=(sys.executable, "-m", "pytest", "-q", "-m", "proof"),
            longest_s=900,
        ),
        Step(
            name="gate: live comparisons",
            command=(
                sys.executable,
                "-m",
                "tests.benchmarks.gate",
                "--json",
                "docs/gate-live.json",
            ),
            longest_s=2_400,
        ),
        Step(
            name="gate: recorded pairs",
            command=(
                *(sys.executable, "-m", "tests.benchmarks.gate.proof"),
                *("tests/reports/data/aa_pairs.json", "--live", "docs/gate-live.json"),
                *("--history", "tests/reports/data/real_history.json"),
                *("--markdown", "docs/gate.md"),
            ),
            longest_s=900,
        ),
    ]
    return found + [_on_node(name) for name in ON_NODE if name in shipped]


def _scenario(name: str, *more: str) -> Step:
    runs = RUNS / name
    return Step(
        name=f"scenario {name}",
        command=(*_TIDEGATE, "run", f"scenarios/{name}.toml", "--runs", str(runs), *more),
        longest_s=_span_s(name) + 300,
        read=lambda: describe_run(runs / "latest"),
    )


def _on_node(name: str) -> Step:
    runs = RUNS / f"node-{name}"
    return Step(
        name=f"Node: {name}",
        command=(
            *(*_TIDEGATE, "run", f"scenarios/{name}.toml", "--runs", str(runs)),
            *("--gateway", NODE_PEER),
        ),
        longest_s=_span_s(name) + 300,
        read=lambda: describe_run(runs / "latest"),
        is_judged=False,
    )


def _span_s(name: str) -> float:
    scenario = read_scenario(PROJECT / "scenarios" / f"{name}.toml")
    return scenario.load_s + scenario.phases.drain_s


def line_of(log: Path, beginning: str) -> str:
    """Return the last line of a log that begins so, or that there is none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line.strip() for line in lines if line.startswith(beginning)]
    return found[-1] if found else f"it said nothing of its {beginning.rstrip(':')}"


def describe_run(run: Path) -> str:
    """Return a run's verdict and what each of its budgets came to, in a line."""
    verdict = read_json(run / "verdict.json")
    if verdict is None:
        return "no verdict"
    return f"{verdict['verdict']}: " + "; ".join(_describe(one) for one in verdict["budgets"])


def _describe(budget: dict[str, Any]) -> str:
    mark = {"PASS": "", "FAIL": " ✕", "INCONCLUSIVE": " ◆", "INVALID": " □"}[budget["verdict"]]
    return f"{budget['text']} → {value_of(budget)}{mark}"


def value_of(budget: Mapping[str, Any]) -> str:
    """Return what a budget of ``verdict.json`` came to, in the budget's own unit."""
    value = budget["value"]
    if value is None:
        return "no data"
    scale = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9, "B": 1.0, "KB": 1024.0, "MB": 1024.0**2}
    unit = budget["unit"]
    return f"{value / scale.get(unit, 1.0):.4g} {unit}".strip()
