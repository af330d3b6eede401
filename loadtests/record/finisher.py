"""Finishes a run directory: writes Parquet from the segments, and completes the manifest.

``python -m loadtests.record.finisher RUN...`` works on runs that ended, that crashed, and that are
finished already. The result is the same, and never less than what was there: a table
without segments, or with fewer rows in them, stays as it is.

ValueError
└── CannotFinish     no run, damaged, of another format, or still going on; nothing was touched
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loadtests.ending import describe_failure, launch, run_command
from loadtests.record.gateway_orders import describe_exits
from loadtests.record.manifest import read_json, write_json
from loadtests.record.segments import is_being_written, read_batches, table_schema
from loadtests.results import (
    FORMAT_VERSION,
    LOGS,
    MANIFEST,
    SCENARIO,
    SEGMENTS,
    TABLES,
    ExitCode,
    RunStatus,
)
from scenarios.schema import ScenarioError, read_scenario

SUPERVISOR: Final = "supervisor.json"
_ORDER: Final = {"hist": ("t_s", "series", "bucket"), "events": ("t_ns",), "sample": ("t_ns",)}
PATIENCE_S: Final = 5.0
"""A publisher outlives a load generator that was killed by about a second."""
_POLL_S: Final = 0.05
_WINDOW_ROWS: Final = 250_000
_SETTLED_S: Final = 5
"""Values of one second may be flushed in parts, but hardly this many seconds apart."""


class CannotFinish(ValueError):  # noqa: N818 - the command's answer
    """A directory that cannot be finished; nothing in it was touched."""


def finish_run(directory: Path) -> list[str]:
    """Write each table as Parquet and repair the manifest. Returns messages on missing data.

    Segments are kept: they are the record, and Parquet files can be made from them again.

    Raises:
        CannotFinish: a file of the run is missing or damaged.
        OSError: a table cannot be written; then no table is replaced.
    """
    manifest, told = _read(directory)
    problems: list[str] = []
    drafts: dict[Path, Path] = {}
    try:
        for table in TABLES:
            whole, draft = directory / f"{table}.parquet", directory / f".{table}.parquet"
            segments = sorted((directory / SEGMENTS).glob(f"{table}.*.arrow"))
            if not segments and whole.exists():
                continue
            drafts[draft] = whole
            write = _write_histograms if table == "hist" else _write_whole
            write(segments, table, draft, problems)
            had, has = _rows(whole), _rows(draft)
            if has < had:
                problems.append(
                    f"{whole.name}: kept, because its segments hold {has:,} of {had:,} rows"
                )
                del drafts[draft]
                draft.unlink()
        for draft, whole in drafts.items():
            draft.replace(whole)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    repaired = repair_manifest(manifest, told, problems)
    # A commanded exit may have taken longer than the load.
    exits = describe_exits(directory / LOGS, int(manifest.get("t0_monotonic_ns", 0)))
    if exits and isinstance(repaired.get("gateway"), dict):
        repaired["gateway"] = {**repaired["gateway"], "exits": exits}
    if repaired != manifest:
        write_json(directory / MANIFEST, repaired)
    return problems


def is_finished(directory: Path) -> bool:
    """Return whether every table of a run is there as Parquet."""
    return all((directory / f"{table}.parquet").exists() for table in TABLES)


def check_run(directory: Path) -> None:
    """Check, before anything in it is touched, that a directory is a run that can be finished.

    Raises:
        CannotFinish: it is none, is damaged or of another format, or is still written to.
    """
    manifest, _ = _read(directory)
    version, status = manifest.get("format_version"), manifest.get("status")
    if version != FORMAT_VERSION:
        words = f"{directory}: run format version {version!r}; this version of Tidegate reads"
        raise CannotFinish(f"{words} {FORMAT_VERSION}; use the version that wrote it")
    if status not in set(RunStatus):
        words = f"{directory / MANIFEST} has status {status!r}"
        raise CannotFinish(f"{words}, not one of {', '.join(RunStatus)}")
    try:
        read_scenario(directory / SCENARIO)
    except ScenarioError as error:
        raise CannotFinish(str(error)) from None
    ends_s = time.monotonic() + PATIENCE_S
    while is_being_written(directory):
        if time.monotonic() > ends_s:
            raise CannotFinish(f"{directory} is still written to: wait for the end of the run")
        time.sleep(_POLL_S)


def _read(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a run's manifest, and what its supervisor saw. Raises CannotFinish."""
    try:
        manifest = read_json(directory / MANIFEST)
        told = read_json(directory / LOGS / SUPERVISOR) or {}
    except (OSError, ValueError) as error:
        words = describe_failure(error) if isinstance(error, OSError) else str(error)
        raise CannotFinish(words) from None
    if manifest is None:
        raise CannotFinish(f"{directory} holds no {MANIFEST}: it is no run")
    return manifest, told


def _rows(path: Path) -> int:
    """Return the number of rows of a Parquet file; 0 for one that is missing or damaged."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def repair_manifest(
    manifest: Mapping[str, Any], told: Mapping[str, Any], problems: list[str]
) -> dict[str, Any]:
    """Return a manifest completed with what its writer could not know.

    Args:
        manifest: as the Locust process left it.
        told: what the supervisor saw: ``gateway_exit_code``, ``gateway_died``,
            ``interrupted``, ``cut`` (why the load ended early), ``cut_by`` (what ended it),
            ``files`` (paths of scenario and budgets), ``problems``.
        problems: messages from reading the segments.
    """
    repaired = dict(manifest)
    if repaired["status"] == RunStatus.RUNNING:
        repaired["status"] = str(RunStatus.ABORTED)
    if told.get("interrupted"):
        repaired["status"] = str(RunStatus.INTERRUPTED)
    if "gateway_died" in told and repaired.get("gateway") is not None:
        status = "died" if told["gateway_died"] else "ok"
        said = {"status": status, "exit_code": told.get("gateway_exit_code")}
        repaired["gateway"] = {**repaired["gateway"], **said}
    repaired["files"] = told.get("files") or repaired.get("files") or {}
    if told.get("cut"):
        repaired |= {"cut": told["cut"], "cut_by": told.get("cut_by", "")}
    publisher = repaired.get("publisher")
    if publisher and publisher["status"] in ("running", "stopping"):
        repaired["publisher"] = {**publisher, "status": "lost"}
    words = [*repaired.get("problems", []), *told.get("problems", []), *problems]
    repaired["problems"] = list(dict.fromkeys(words))
    return repaired


def _write_whole(segments: Sequence[Path], table: str, fresh: Path, problems: list[str]) -> None:
    batches: list[Any] = []
    for path in segments:
        batches.extend(read_batches(path, problems))
    whole = pa.Table.from_batches(batches, schema=table_schema(table))
    by = [(name, "ascending") for name in _ORDER.get(table, ())]
    pq.write_table(whole.sort_by(by) if by else whole, fresh, compression="zstd")


def _write_histograms(
    segments: Sequence[Path], table: str, fresh: Path, problems: list[str]
) -> None:
    """Write histograms window by window: those of a long run do not fit into memory."""
    schema = table_schema(table)
    texts = [column.name for column in TABLES[table] if column.kind == "string"]
    numbers = [column.name for column in TABLES[table] if column.kind != "string"]
    with pq.ParquetWriter(
        fresh,
        schema,
        compression="zstd",
        use_dictionary=texts,
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
    ) as writer:
        for path in segments:
            kept = schema.empty_table()
            waiting: list[Any] = []
            for batch in read_batches(path, problems):
                waiting.append(batch)
                if sum(one.num_rows for one in waiting) >= _WINDOW_ROWS:
                    settled, kept = _settle(kept, waiting, schema)
                    writer.write_table(settled)
                    waiting = []
            writer.write_table(_added_up(_joined(kept, waiting, schema), schema))


def _settle(kept: Any, waiting: Sequence[Any], schema: Any) -> tuple[Any, Any]:
    """Return the summed rows of complete seconds, and the other rows."""
    whole = _joined(kept, waiting, schema)
    is_settled = pc.less(whole["t_s"], pc.subtract(pc.max(whole["t_s"]), _SETTLED_S))
    return _added_up(whole.filter(is_settled), schema), whole.filter(pc.invert(is_settled))


def _joined(kept: Any, waiting: Sequence[Any], schema: Any) -> Any:
    return pa.concat_tables([kept, pa.Table.from_batches(waiting, schema=schema)])


def _added_up(rows: Any, schema: Any) -> Any:
    keys = [name for name in schema.names if name != "count"]
    whole = rows.group_by(keys).aggregate([("count", "sum")])
    whole = whole.rename_columns([*keys, "count"]).select(schema.names).cast(schema)
    return whole.sort_by([(name, "ascending") for name in _ORDER["hist"]])


def main(arguments: list[str] | None = None) -> int:
    """Finish the runs named by the arguments. Returns the exit code."""
    names = sys.argv[1:] if arguments is None else arguments
    if not names:
        print("usage: python -m loadtests.record.finisher RUN...", file=sys.stderr)  # noqa: T201 - a command speaks
        return ExitCode.USAGE

    def finish() -> int:
        for name in names:
            check_run(Path(name))
            for problem in finish_run(Path(name)):
                print(problem, file=sys.stderr)  # noqa: T201 - a command speaks
        return ExitCode.PASS

    return run_command("tidegate", finish, CannotFinish)


if __name__ == "__main__":
    launch(["loadtests.record.finisher", *sys.argv[1:]])
