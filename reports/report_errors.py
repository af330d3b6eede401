"""Errors in the input of a report.

::

    ReportError               the caller can fix it; a command exits with 2
    ├── NotARunError          no directory, no manifest, or an invalid manifest
    ├── UnknownFormatError    written in another format version
    ├── DamagedTableError     a table breaks the results contract
    ├── DamagedCapacityError  capacity.json breaks the results contract
    ├── UnknownBudgetError    an added budget does not fit the run's scenario
    ├── SameRunError          a run is to be compared with itself
    ├── PartialRunError       a run that did not run to its end is to enter a history
    └── HistoryError          the file of a history cannot be read

A missing or empty table is not an error: the report says why the table is missing.
"""

from __future__ import annotations

from pathlib import Path

from loadtests.results import FORMAT_VERSION


class ReportError(Exception):
    """The input cannot be reported; the message says what would be right."""


class NotARunError(ReportError):
    """The path is not a run directory."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path}: {what}; a run is a directory such as runs/<time>_<scenario>_<id>"
        )
        self.path = path


class UnknownFormatError(ReportError):
    """The run has a format version that this version does not read."""

    def __init__(self, path: Path, version: object, written_by: str) -> None:
        super().__init__(
            f"{path}: run format version {version!r}, written by {written_by}; "
            f"this version reads {FORMAT_VERSION}; use the version that wrote it"
        )
        self.path = path
        self.version = version


class DamagedTableError(ReportError):
    """A table breaks the results contract."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class DamagedCapacityError(ReportError):
    """The answer of a capacity search cannot be read."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path.name} {what}; run the capacity search again with tidegate run")
        self.path = path


class UnknownBudgetError(ReportError):
    """An added budget cannot be judged in this run."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{what} (run {path.name})")
        self.path = path


class SameRunError(ReportError):
    """A run is on both sides of a comparison."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is both base and head; name two runs")
        self.path = path


class PartialRunError(ReportError):
    """A run has only figures of a part of its load."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path.name}: {what}; a history holds runs that ran to their end")
        self.path = path


class HistoryError(ReportError):
    """The file of a history is missing or damaged."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path
