"""The tables of a run while it grows: Arrow IPC streams that survive a crash.

A Parquet file without its footer is lost, a stream of batches is not: what was
flushed can be read, whatever became of the writer.

ValueError
└── TableError       a row has a column that its table does not know
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from loadtests.results import SEGMENTS, TABLES

_KINDS = {"int64": pa.int64(), "int32": pa.int32(), "string": pa.string()}


class TableError(ValueError):
    """A row that does not fit its table."""


def table_schema(table: str) -> pa.Schema:
    """Return a table's Arrow schema, units beside the columns that have one."""
    return pa.schema(
        [
            pa.field(c.name, _KINDS[c.kind], metadata={"unit": c.unit, "meaning": c.meaning})
            for c in TABLES[table]
        ]
    )


class SegmentWriter:
    """Appends one process's rows to the segments of a run; a file appears with its first row."""

    def __init__(self, directory: Path, writer: str) -> None:
        self.directory = directory / SEGMENTS
        self.writer = writer
        self._rows: dict[str, list[Mapping[str, object]]] = {name: [] for name in TABLES}
        self._batches: dict[str, list[pa.RecordBatch]] = {name: [] for name in TABLES}
        self._open: dict[str, tuple[Any, Any]] = {}
        self._schemas = {name: table_schema(name) for name in TABLES}
        self._columns = {name: frozenset(c.name for c in TABLES[name]) for name in TABLES}

    def row(self, table: str, row: Mapping[str, object]) -> None:
        """Keep a row for the next flush; a column that it does not name becomes null.

        Raises:
            TableError: the row names a column that the table does not have.
        """
        unknown = row.keys() - self._columns[table]
        if unknown:
            raise TableError(f"table {table} has no column {', '.join(sorted(unknown))}")
        self._rows[table].append(row)

    def columns(self, table: str, columns: Mapping[str, Any]) -> None:
        """Keep whole columns (arrays of one length, in any order) for the next flush."""
        schema = self._schemas[table]
        arrays = [pa.array(columns[field.name], type=field.type) for field in schema]
        self._batches[table].append(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def flush(self) -> None:
        """Write what was kept, and hand it to the kernel."""
        for table, schema in self._schemas.items():
            rows, self._rows[table] = self._rows[table], []
            batches, self._batches[table] = self._batches[table], []
            if rows:
                batches.append(pa.RecordBatch.from_pylist([dict(r) for r in rows], schema=schema))
            if batches:
                self._write(table, batches)

    def close(self) -> None:
        """Flush and end every stream; a second call does nothing more."""
        self.flush()
        for file, stream in self._open.values():
            stream.close()
            file.close()
        self._open.clear()

    def _write(self, table: str, batches: list[pa.RecordBatch]) -> None:
        if table not in self._open:
            self.directory.mkdir(parents=True, exist_ok=True)
            file = (self.directory / f"{table}.{self.writer}.arrow").open("wb")
            self._open[table] = file, pa.ipc.new_stream(file, self._schemas[table])
        file, stream = self._open[table]
        for batch in batches:
            stream.write_batch(batch)
        file.flush()


def read_segment(path: Path) -> tuple[list[pa.RecordBatch], str | None]:
    """Return the whole batches of a segment, and words on what is missing at its end.

    A writer that was killed leaves no end mark, and perhaps a part of a batch: both
    are told apart, and neither is an error.
    """
    batches: list[pa.RecordBatch] = []
    with path.open("rb") as file:
        try:
            stream = pa.ipc.open_stream(file)
            while True:
                batches.append(stream.read_next_batch())
        except StopIteration:
            return batches, None if _has_end_mark(
                path
            ) else f"{path.name}: its writer never ended it"
        except (pa.ArrowInvalid, OSError) as error:
            said = str(error).splitlines()[0]
            return batches, f"{path.name}: cut off after {len(batches)} batches ({said})"


def _has_end_mark(path: Path) -> bool:
    """Tell whether a stream ends with the marker of the Arrow IPC format: FFFFFFFF 00000000."""
    with path.open("rb") as file:
        file.seek(-8, 2)
        return file.read() == b"\xff\xff\xff\xff\x00\x00\x00\x00"
