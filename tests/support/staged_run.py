"""A run directory of known numbers whose scenario has stages and commands.

Unlike ``synthetic_run``, which looks like a smoke run, this one has only the test's content: a
scenario of named groups, stages and commands, and the server rows that the test gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from synthetic_run import Rows, Tables, event_row, make_run

from loadtests.results import TABLES, Event, Phase

RAMP_S: Final = 5
WARM_UP_S: Final = 5
STEADY_AT_S: Final = RAMP_S + WARM_UP_S
"""Second in which the steady phase begins."""
_S: Final = 1_000_000_000

Watch = Callable[[int], dict[str, Any]]
"""Second of the run → values of the server's row of that second."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One command of a scenario; ``at_s`` counts from the start of the steady phase."""

    at_s: int
    do: str
    who: str = ""
    within_s: int = 0
    count: int = 0

    @property
    def start_s(self) -> int:
        """Time of the command, in seconds of the run."""
        return STEADY_AT_S + self.at_s

    def as_toml(self) -> str:
        """Return its table of the scenario file."""
        lines = ["[[commands]]", f'at = "{self.at_s} s"', f'do = "{self.do}"']
        lines += [f'who = "{self.who}"'] if self.who else []
        lines += [f'within = "{self.within_s} s"'] if self.within_s else []
        lines += [f"count = {self.count}"] if self.count else []
        return "\n".join(lines)

    def as_row(self) -> dict[str, Any]:
        """Return the row that a worker writes when it executes the command."""
        return event_row(self.start_s * _S, Event.COMMAND, self.do, group=self.who)


def scenario_of(
    groups: str,
    *,
    stages: Sequence[tuple[int, int, float]] = (),
    commands: Sequence[Told] = (),
    steady_s: int = 60,
    spawn_rate: float = 20.0,
) -> str:
    """Return a scenario file: ``groups`` is TOML, a stage is (at_s, users, spawn_rate)."""
    phases = (
        f'[phases]\nspawn_rate = {spawn_rate}\nwarm_up = "{WARM_UP_S} s"\n'
        f'steady = "{steady_s} s"\ndrain = "1 s"'
    )
    climbs = [
        f'[[stages]]\nat = "{at_s} s"\nusers = {users}\nspawn_rate = {rate}'
        for at_s, users, rate in stages
    ]
    parts = [
        '# What does this cost?\nname = "staged"\nseed = 20\nbudgets = ["errors == 0"]',
        phases,
        "[market]\nsymbols = 50\nzipf = 0.0",
        groups,
        *climbs,
        *(command.as_toml() for command in commands),
    ]
    return "\n\n".join(parts) + "\n"


def make_staged_run(
    directory: Path,
    groups: str,
    *,
    stages: Sequence[tuple[int, int, float]] = (),
    commands: Sequence[Told] = (),
    carried_out: Sequence[Told] | None = None,
    steady_s: int = 60,
    server: Watch | None = None,
    events: Rows | None = None,
    manifest: dict[str, Any] | None = None,
    **more: Rows,
) -> Path:
    """Write a run directory and return it.

    Args:
        directory: made when it is not there.
        groups: the scenario's users, as TOML.
        stages: (at_s, users, spawn_rate) each.
        commands: the commands of the scenario.
        carried_out: the commands that have rows; all by default.
        steady_s: length of the steady phase, s.
        server: values of the gateway's row of a second; no rows by default.
        events: rows in addition to those of the commands.
        manifest: members that replace the manifest's own.
        more: the rows of other tables.
    """
    ends = (RAMP_S, STEADY_AT_S, STEADY_AT_S + steady_s, STEADY_AT_S + steady_s + 1)
    phases = list(zip(Phase, (0, *ends[:-1]), ends, strict=True))
    told = commands if carried_out is None else carried_out

    tables: Tables = {name: list(more.get(name, ())) for name in TABLES}
    marks = [event_row(start * _S, Event.PHASE, str(phase)) for phase, start, _ in phases]
    tables["events"] = marks + [command.as_row() for command in told] + list(events or ())
    for phase, start_s, end_s in phases:
        for second in range(start_s, end_s):
            tables["timeline"].append(_timeline(second, phase))
            if server is not None:
                row = {"t_s": second, "phase": str(phase), **server(second)}
                tables["server"].append(row)

    facts = {
        "scenario": "staged",
        "phases": [
            {"phase": str(phase), "start_s": float(start_s), "end_s": float(end_s)}
            for phase, start_s, end_s in phases
        ],
        **(manifest or {}),
    }
    text = scenario_of(groups, stages=stages, commands=commands, steady_s=steady_s)
    return make_run(directory, scenario=text, manifest=facts, tables=tables)


def _timeline(second: int, phase: Phase) -> dict[str, Any]:
    counts = ("clients", "offered", "sent", "received", "bytes_received", "errors", "missed")
    head = {"t_s": second, "phase": str(phase), "worker": "local"}
    return {**head, **dict.fromkeys(counts, 0)}
