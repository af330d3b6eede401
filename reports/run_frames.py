"""A run directory as DataFrames, with the reason for every missing table.

Tables have the columns of ``loadtests.results.TABLES``. Integers stay integers: a column that may
be absent is a nullable ``Int64``, and times are nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.results import (
    FORMAT_VERSION,
    MANIFEST,
    SCENARIO,
    SEGMENTS,
    TABLES,
    Column,
    Phase,
    RunStatus,
)
from reports.report_errors import DamagedTableError, NotARunError, ReportError, UnknownFormatError
from scenarios.schema import Scenario, ScenarioError, read_scenario

_REPEATED: Final = frozenset({"phase", "worker", "series", "family"})
"""Columns with few distinct words, stored as categories: a long run has millions of rows."""
_KINDS: Final = {"int64": pa.int64(), "int32": pa.int32(), "string": pa.string()}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The facts that a run recorded about itself; a missing fact is empty or None."""

    run_id: str
    status: RunStatus
    facts: Mapping[str, Any] = field(repr=False)

    def part(self, name: str) -> Mapping[str, Any]:
        """Return one object of the manifest, such as ``host``; empty when missing."""
        found = self.facts.get(name)
        return found if isinstance(found, dict) else {}

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, such as ``problems``; empty when missing."""
        found = self.facts.get(name)
        return tuple(str(word) for word in found) if isinstance(found, list) else ()

    @property
    def length_s(self) -> float:
        """Seconds from the start of the run to the end of its last phase."""
        return max((end_s for _, _, end_s in self.phases), default=0.0)

    @property
    def phases(self) -> tuple[tuple[Phase, float, float], ...]:
        """Phases that began, with start and end in seconds of the run."""
        return tuple(
            (Phase(row["phase"]), float(row["start_s"]), float(row["end_s"]))
            for row in self.facts.get("phases") or ()
            if row.get("start_s") is not None and row.get("end_s") is not None
        )


@dataclass(frozen=True, kw_only=True)
class RunFrames:
    """One run in memory.

    Attributes:
        directory: the run directory.
        manifest: facts about the run.
        scenario: what was run, with its budgets.
        tables: a DataFrame for each name of ``loadtests.results.TABLES``, with its columns even
            without rows.
        absences: why a table has no rows, by name.
        missing: tables without a file. A run that was finished has them all.
        memory: cached results (``reports.remembering``).
    """

    directory: Path
    manifest: Manifest
    scenario: Scenario
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    absences: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    memory: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getitem__(self, table: str) -> pd.DataFrame:
        return self.tables[table]

    def why_absent(self, table: str) -> str:
        """Return why a table gives no value."""
        return self.absences.get(table, f"{table} has rows, but none that count here")


def read_run(directory: Path | str) -> RunFrames:
    """Return a run directory as frames, also of an interrupted run.

    Raises:
        NotARunError: the directory, its manifest or its scenario is missing or invalid.
        UnknownFormatError: the run has another format version.
        DamagedTableError: a table breaks the results contract.
    """
    path = Path(directory)
    if not path.is_dir():
        raise NotARunError(path, "no such directory")
    manifest = _read_manifest(path)
    scenario = _read_scenario(path)
    tables, absences = {}, {}
    for name in TABLES:
        tables[name], why = _read_table(path, name)
        if why:
            absences[name] = why
    return RunFrames(
        directory=path,
        manifest=manifest,
        scenario=scenario,
        tables=tables,
        absences=absences,
        missing=tuple(name for name in TABLES if not (path / f"{name}.parquet").exists()),
    )


def find_baseline(run: RunFrames) -> RunFrames | None:
    """Return the baseline that the run was started with; None without one.

    A deleted baseline is None too, and leaves relative budgets INCONCLUSIVE.
    """
    named = run.manifest.part("files").get("baseline")
    if not named:
        return None
    try:
        return read_run(Path(str(named)))
    except ReportError:
        return None


def _read_manifest(path: Path) -> Manifest:
    source = path / MANIFEST
    try:
        facts = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotARunError(path, f"no {MANIFEST} in it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise NotARunError(path, f"{MANIFEST} cannot be read ({error})") from error
    if not isinstance(facts, dict):
        raise NotARunError(path, f"{MANIFEST} is not an object")
    version = facts.get("format_version")
    if version != FORMAT_VERSION:
        writer = (facts.get("versions") or {}).get("tidegate")
        raise UnknownFormatError(
            path, version, f"tidegate {writer}" if writer else "an unknown version"
        )
    try:
        status = RunStatus(facts.get("status", ""))
    except ValueError:
        right = ", ".join(RunStatus)
        raise NotARunError(
            path, f"{MANIFEST} has status {facts.get('status')!r}, not one of {right}"
        ) from None
    return Manifest(run_id=str(facts.get("run_id") or path.name), status=status, facts=facts)


def _read_scenario(path: Path) -> Scenario:
    source = path / SCENARIO
    if not source.exists():
        raise NotARunError(path, f"no {SCENARIO} in it")
    try:
        return read_scenario(source)
    except ScenarioError as error:
        raise NotARunError(path, f"{SCENARIO} is not valid: {error}") from error


def _read_table(path: Path, name: str) -> tuple[pd.DataFrame, str]:
    columns = TABLES[name]
    source = path / f"{name}.parquet"
    if not source.exists():
        if any((path / SEGMENTS).glob(f"{name}.*.arrow")):
            why = f"{name} is still in segments; run tidegate report to assemble the tables"
        else:
            why = f"the run wrote no {source.name}"
        empty = _schema(columns).empty_table()
        return _frame([empty[column.name] for column in columns], columns), why
    try:
        table = pq.read_table(source, read_dictionary=_words_of(columns), pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DamagedTableError(source, f"not a readable Parquet file ({error})") from error
    table = _conformed(table, columns, source)
    values = [table[column.name] for column in columns]
    del table  # columns are freed one by one as they become pandas objects
    frame = _frame(values, columns)
    pa.default_memory_pool().release_unused()
    return frame, "" if len(frame) else f"{source.name} holds no rows"


def _schema(columns: tuple[Column, ...], *, repeated: bool = False) -> pa.Schema:
    """Return the contract's types; ``repeated`` makes ``_REPEATED`` columns categories."""
    words = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            (column.name, words if repeated and column.name in _REPEATED else _KINDS[column.kind])
            for column in columns
        ]
    )


def _words_of(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns if column.name in _REPEATED]


def _conformed(table: pa.Table, columns: tuple[Column, ...], source: Path) -> pa.Table:
    """Return a table with the contract's columns and types."""
    missing = [column.name for column in columns if column.name not in table.column_names]
    if missing:
        raise DamagedTableError(source, f"lacks the columns {', '.join(missing)}")
    try:
        schema = _schema(columns, repeated=True)
        conformed = table.select([column.name for column in columns]).cast(schema)
    except pa.ArrowException as error:
        raise DamagedTableError(source, f"holds values of the wrong type ({error})") from error
    for column in columns:
        if conformed[column.name].null_count and not column.may_be_absent:
            raise DamagedTableError(
                source, f"{column.name} has an empty value, which is not allowed"
            )
    return conformed


def _frame(arrays: list[Any], columns: tuple[Column, ...]) -> pd.DataFrame:
    data: dict[str, pd.Series[Any]] = {}
    for column in columns:
        values = arrays.pop(0)
        if pa.types.is_dictionary(values.type):
            data[column.name] = values.unify_dictionaries().to_pandas()
        elif column.kind == "string":
            data[column.name] = pd.Series(values.to_pylist(), dtype="str")
        elif column.may_be_absent:
            data[column.name] = pd.Series(values.to_pylist(), dtype="Int64")
        else:
            data[column.name] = pd.Series(values.to_numpy(), dtype=column.kind)
        del values
    return pd.DataFrame(data, copy=False)
