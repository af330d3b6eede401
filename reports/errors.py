"""What can be wrong with what a report is asked to read.

::

    ReportError            the caller can mend it; ends a command with exit code 2
    ├── NotARunError        no directory, no manifest, or a manifest that is not one
    ├── UnknownFormatError  written in a format version that this one does not read
    ├── DamagedTableError   a table whose columns or values break the results contract
    ├── DamagedCapacityError  a capacity.json that breaks the results contract
    └── UnknownBudgetError  a budget that was laid over a run does not fit its scenario

A table that is missing or empty is no error: its part of the report says why it is not there.
"""

from __future__ import annotations

from pathlib import Path

from loadtests.results import FORMAT_VERSION


class ReportError(Exception):
    """What was asked for cannot be reported; the text says what would be right."""


class NotARunError(ReportError):
    """The path holds no run."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path}: {what}; a run is a directory such as runs/<time>_<scenario>_<id>"
        )
        self.path = path


class UnknownFormatError(ReportError):
    """The run's format version is not the one that this version reads."""

    def __init__(self, path: Path, version: object, written_by: str) -> None:
        super().__init__(
            f"{path}: run format version {version!r}, written by {written_by}; "
            f"this version reads {FORMAT_VERSION}: report it with the version that wrote it"
        )
        self.path = path
        self.version = version


class DamagedTableError(ReportError):
    """A table does not hold what the results contract promises."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class DamagedCapacityError(ReportError):
    """The answer of a search for capacity cannot be read."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path.name} {what}; a search with tidegate run writes a whole one")
        self.path = path


class UnknownBudgetError(ReportError):
    """A budget that was laid over a run cannot be judged in it."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{what} (run {path.name})")
        self.path = path
