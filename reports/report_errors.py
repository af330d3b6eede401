"""Errors in the input of a report.

::

    ReportError                   the caller can fix it; a command exits with 2
    └── BadPathError              a file or directory, whose path it has, cannot be reported
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


class BadPathError(ReportError):
    """A file or directory cannot be reported.

    Args:
        path: of the input.
        what: the mistake, in words that follow the path.
    """

    message = "{path}: {what}"

    def __init__(self, path: Path, what: str = "") -> None:
        super().__init__(self.message.format(path=path, what=what))
        self.path = path


class NotARunError(BadPathError):
    """The path is not a run directory."""

    message = "{path}: {what}; a run is a directory such as runs/<time>_<scenario>_<id>"


class UnknownFormatError(BadPathError):
    """The run has a format version that this version does not read."""

    def __init__(self, path: Path, version: object, written_by: str) -> None:
        super().__init__(
            path,
            f"run format version {version!r}, written by {written_by}; "
            f"this version reads {FORMAT_VERSION}; use the version that wrote it",
        )
        self.version = version


class DamagedTableError(BadPathError):
    """A table breaks the results contract."""


class DamagedCapacityError(BadPathError):
    """The answer of a capacity search cannot be read."""

    message = "{path.name} {what}; run the capacity search again with tidegate run"


class UnknownBudgetError(BadPathError):
    """An added budget cannot be judged in this run."""

    message = "{what} (run {path.name})"


class SameRunError(BadPathError):
    """A run is on both sides of a comparison."""

    message = "{path} is both base and head; name two runs"


class PartialRunError(BadPathError):
    """A run has only figures of a part of its load."""

    message = "{path.name}: {what}; a history holds runs that ran to their end"


class HistoryError(BadPathError):
    """The file of a history is missing or damaged."""
