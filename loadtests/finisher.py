"""Ends a run directory: segments become Parquet, and the manifest says how far the run came.

``python -m loadtests.recording RUN``. It may run on a run that ended, on one that crashed,
and on one that it ended before: the result is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.manifest import read_json, write_json
from loadtests.results import LOGS, MANIFEST, SEGMENTS, TABLES, ExitCode, RunStatus
from loadtests.segments import read_segment, table_schema

SUPERVISOR: Final = "supervisor.json"
_ORDER: Final = {"hist": ("t_s", "series", "bucket"), "events": ("t_ns",), "sample": ("t_ns",)}


def finish_run(directory: Path) -> list[str]:
    """Write each table as Parquet and repair the manifest; return words on what was missing.

    Segments are kept: they are the record, the Parquet files are made from them.

    Raises:
        FileNotFoundError: the directory holds no manifest.
    """
    manifest = read_json(directory / MANIFEST)
    if manifest is None:
        raise FileNotFoundError(f"{directory} holds no {MANIFEST}: it is no run")
    problems: list[str] = []
    for table in TABLES:
        _write_parquet(directory, table, problems)
    told = read_json(directory / LOGS / SUPERVISOR) or {}
    write_json(directory / MANIFEST, repair_manifest(manifest, told, problems))
    return problems


def repair_manifest(
    manifest: Mapping[str, Any], told: Mapping[str, Any], problems: list[str]
) -> dict[str, Any]:
    """Return a manifest with what its writer could not know any more.

    Args:
        manifest: as the Locust process left it.
        told: what the supervisor saw: ``gateway_exit_code``, ``gateway_died``,
            ``interrupted``, ``problems``.
        problems: words from reading the segments.
    """
    repaired = dict(manifest)
    if repaired["status"] == RunStatus.RUNNING:
        repaired["status"] = str(RunStatus.ABORTED)
    if told.get("interrupted"):
        repaired["status"] = str(RunStatus.INTERRUPTED)
    if "gateway_died" in told and repaired.get("gateway") is not None:
        status = "died" if told["gateway_died"] else "ok"
        repaired["gateway"] = {"status": status, "exit_code": told.get("gateway_exit_code")}
    publisher = repaired.get("publisher")
    if publisher and publisher["status"] == "running":
        repaired["publisher"] = {**publisher, "status": "lost"}
    words = [*repaired.get("problems", []), *told.get("problems", []), *problems]
    repaired["problems"] = list(dict.fromkeys(words))
    return repaired


def _write_parquet(directory: Path, table: str, problems: list[str]) -> None:
    schema = table_schema(table)
    batches: list[Any] = []
    for path in sorted((directory / SEGMENTS).glob(f"{table}.*.arrow")):
        found, words = read_segment(path)
        batches.extend(found)
        if words is not None:
            problems.append(words)
    whole = pa.Table.from_batches(batches, schema=schema)
    if table == "hist":
        # Values of one second may have been flushed in two parts.
        keys = [name for name in schema.names if name != "count"]
        whole = whole.group_by(keys).aggregate([("count", "sum")])
        whole = whole.rename_columns([*keys, "count"]).select(schema.names).cast(schema)
    by = [(name, "ascending") for name in _ORDER.get(table, ()) or ()]
    fresh = directory / f".{table}.parquet"
    pq.write_table(whole.sort_by(by) if by else whole, fresh, compression="zstd")
    fresh.replace(directory / f"{table}.parquet")


def main(arguments: list[str] | None = None) -> int:
    """End the run named by the one argument; returns the exit code."""
    names = sys.argv[1:] if arguments is None else arguments
    if len(names) != 1:
        print("usage: python -m loadtests.recording RUN", file=sys.stderr)  # noqa: T201 - a command speaks
        return ExitCode.USAGE
    try:
        problems = finish_run(Path(names[0]))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command speaks
        return ExitCode.USAGE
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201 - a command speaks
    return ExitCode.PASS
