"""Finishes a run directory: writes Parquet from the segments, and completes the manifest.

``python -m loadtests.record.recording RUN`` works on a run that ended, one that crashed, and one
that is finished already. The result is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loadtests.record.gateway_orders import EXITS, describe_exits
from loadtests.record.manifest import read_json, write_json
from loadtests.record.segments import read_batches, table_schema
from loadtests.results import LOGS, MANIFEST, SEGMENTS, TABLES, ExitCode, RunStatus

SUPERVISOR: Final = "supervisor.json"
_ORDER: Final = {"hist": ("t_s", "series", "bucket"), "events": ("t_ns",), "sample": ("t_ns",)}
_WINDOW_ROWS: Final = 250_000
_SETTLED_S: Final = 5
"""Values of one second may be flushed in parts, but hardly this many seconds apart."""


def finish_run(directory: Path) -> list[str]:
    """Write each table as Parquet and repair the manifest. Returns messages on missing data.

    Segments are kept: they are the record, and Parquet files can be made from them again.

    Raises:
        FileNotFoundError: the directory holds no manifest.
    """
    manifest = read_json(directory / MANIFEST)
    if manifest is None:
        raise FileNotFoundError(f"{directory} holds no {MANIFEST}: it is no run")
    problems: list[str] = []
    for table in TABLES:
        write = _write_histograms if table == "hist" else _write_whole
        fresh = directory / f".{table}.parquet"
        write(sorted((directory / SEGMENTS).glob(f"{table}.*.arrow")), table, fresh, problems)
        fresh.replace(directory / f"{table}.parquet")
    told = read_json(directory / LOGS / SUPERVISOR) or {}
    if (directory / LOGS / EXITS).exists():
        # A commanded exit may have taken longer than the load.
        exits = describe_exits(directory / LOGS, int(manifest["t0_monotonic_ns"]))
        manifest = {**manifest, "gateway": {**manifest["gateway"], "exits": exits}}
    write_json(directory / MANIFEST, repair_manifest(manifest, told, problems))
    return problems


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
    """Finish the run named by the one argument. Returns the exit code."""
    names = sys.argv[1:] if arguments is None else arguments
    if len(names) != 1:
        print("usage: python -m loadtests.record.recording RUN", file=sys.stderr)  # noqa: T201 - a command speaks
        return ExitCode.USAGE
    try:
        problems = finish_run(Path(names[0]))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command speaks
        return ExitCode.USAGE
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201 - a command speaks
    return ExitCode.PASS
