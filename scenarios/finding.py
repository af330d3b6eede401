"""Find a scenario by its name: a file, or one that comes with Tidegate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scenarios.problems import suggest

FOLDER: Final = Path(__file__).resolve().parent
"""The scenarios that come with Tidegate."""


class UnknownScenarioError(ValueError):
    """A name is no file and no scenario; the message has the nearest name."""


def named_scenarios() -> Mapping[str, Path]:
    """Return the file of each scenario of ``FOLDER`` by name, in the order of names."""
    return {path.stem.replace("_", "-"): path for path in sorted(FOLDER.glob("*.toml"))}


def find_scenario(name: str) -> Path:
    """Return the file of a scenario: a path to one, or a name such as ``smoke``.

    A file in the current folder comes before a scenario of the same name. ``mixed_5k`` means
    ``mixed-5k``.

    Raises:
        UnknownScenarioError: there is none. A path is returned whether it exists or not: its
            reader says what is wrong.
    """
    path = Path(name)
    if path.is_file() or len(path.parts) > 1 or path.suffix == ".toml":
        return path
    known = named_scenarios()
    found = known.get(name.replace("_", "-"))
    if found is None:
        hint = suggest(name.replace("_", "-"), known)
        raise UnknownScenarioError(f"no scenario {name[:80]!r}, and no such file; {hint}")
    return found
