"""Problems of a scenario file.

ValueError
└── ScenarioError       all problems of one file
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import Repr
from typing import Final

_SHORT: Final = Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlong = 40


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem: its line (from 1), and a message that says what would be right."""

    line: int
    message: str


def shown(value: object) -> str:
    """Return a value for a message, in one short line however long or nested it is."""
    return _SHORT.repr(value)


class ScenarioError(ValueError):
    """A scenario that cannot be run; ``problems`` has all problems in order of lines."""

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(f"{path}:{p.line}: {p.message}" for p in self.problems))


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint from an unknown name to the nearest known one, or to all known names."""
    names = list(known)
    near = get_close_matches(name[:80], names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
