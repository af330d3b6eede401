"""Problems of a scenario file.

ValueError
└── ScenarioError       all problems of one file
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem: its line (from 1), and a message that says what would be right."""

    line: int
    message: str


class ScenarioError(ValueError):
    """A scenario that cannot be run; ``problems`` has all problems in order of lines."""

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(f"{path}:{p.line}: {p.message}" for p in self.problems))


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint from an unknown name to the nearest known one, or to all known names."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
