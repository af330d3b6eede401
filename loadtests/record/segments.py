"""The tables of a run in progress: Arrow IPC streams, which survive a crash.

A Parquet file without its footer is lost. A stream of batches is not: all flushed batches can be
read, even after a crash of the writer. Each writer holds a shared lock on the folder of segments,
which the kernel releases when the writer dies: so a run that goes on is told from one that crashed.

ValueError
└── TableError       a row has a column that its table does not have, or lacks a required one
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from loadtests.results import SEGMENTS, TABLES

if TYPE_CHECKING:
    # At run time it is imported where it is used. It starts a thread, which a process must not
    # have before it forks, and the command line need not wait for it.
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Repeated:
    """A column of ``count`` equal texts."""

    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Runs:
    """A column of texts in runs of equal ones."""

    parts: Sequence[Repeated]


Values = Sequence[Any] | np.ndarray | Repeated | Runs


class TableError(ValueError):
    """A row that does not fit its table."""


def table_schema(table: str) -> pa.Schema:
    """Return a table's Arrow schema, units beside the columns that have one."""
    import pyarrow as pa

    kinds = {"int64": pa.int64(), "int32": pa.int32(), "string": pa.string()}
    return pa.schema(
        [
            pa.field(c.name, kinds[c.kind], metadata={"unit": c.unit, "meaning": c.meaning})
            for c in TABLES[table]
        ]
    )


def segment_schema(table: str) -> pa.Schema:
    """Return a table's schema in segments: as ``table_schema``, but in fewer bytes.

    A text that is equal over a whole batch of histograms is stored once (run-end encoded).
    As a plain text it would take ten bytes a row.
    """
    import pyarrow as pa

    schema = table_schema(table)
    if table != "hist":
        return schema
    word = pa.run_end_encoded(pa.int32(), pa.string())
    return pa.schema([f.with_type(word) if f.type == pa.string() else f for f in schema])


class TableSink(Protocol):
    """Where a recorder puts its rows: its own segments, or parcels for the master."""

    def row(self, table: str, row: Mapping[str, object]) -> None:
        """Keep a row for the next flush."""

    def columns(self, table: str, columns: Mapping[str, Any]) -> None:
        """Keep whole columns for the next flush."""

    def flush_in_steps(self) -> Iterator[None]:
        """Write or pack the kept rows in short steps."""
        ...

    def close(self) -> None:
        """Flush, and accept no more rows."""


class TableBuffer:
    """Keeps the rows and columns of one process until they are taken as Arrow batches."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Mapping[str, object]]] = {name: [] for name in TABLES}
        self._batches: dict[str, list[pa.RecordBatch]] = {name: [] for name in TABLES}
        self._schemas = {name: segment_schema(name) for name in TABLES}
        self._columns = {name: frozenset(c.name for c in TABLES[name]) for name in TABLES}
        self._required = {
            name: [c.name for c in TABLES[name] if not c.may_be_absent] for name in TABLES
        }

    def row(self, table: str, row: Mapping[str, object]) -> None:
        """Keep a row for the next flush. An optional column that is absent becomes null.

        Raises:
            TableError: the row has a column that the table does not have, or lacks a required
                one.
        """
        unknown = row.keys() - self._columns[table]
        if unknown:
            raise TableError(f"table {table} has no column {', '.join(sorted(unknown))}")
        missing = [name for name in self._required[table] if row.get(name) is None]
        if missing:
            raise TableError(f"a row of {table} lacks {', '.join(missing)}")
        self._rows[table].append(row)

    def columns(self, table: str, columns: Mapping[str, Any]) -> None:
        """Keep whole columns, sequences of one length in any order, for the next flush."""
        self._batches[table].append(_batch(self._schemas[table], columns))

    def take(self) -> Iterator[tuple[str, list[pa.RecordBatch]]]:
        """Yield each table that has rows with its batches, and forget them."""
        for table, schema in self._schemas.items():
            rows, self._rows[table] = self._rows[table], []
            batches, self._batches[table] = self._batches[table], []
            if rows:
                columns = {name: [row.get(name) for row in rows] for name in schema.names}
                batches.append(_batch(schema, columns))
            if batches:
                yield table, batches


class SegmentWriter(TableBuffer):
    """Appends one process's rows to the segments of a run. A file appears with its first row.

    Batches are compressed: a second of histograms repeats the same texts thousands of times.
    """

    def __init__(self, directory: Path, writer: str) -> None:
        super().__init__()
        self.directory = directory / SEGMENTS
        self.writer = writer
        self._open: dict[str, tuple[Any, Any]] = {}
        self._lock: int | None = _lock(self.directory, fcntl.LOCK_SH)

    def flush(self) -> None:
        """Write the kept rows, and flush the files."""
        for _ in self.flush_in_steps():
            pass

    def flush_in_steps(self) -> Iterator[None]:
        """Write the kept rows, one table a step."""
        for table, batches in self.take():
            self.write(table, batches)
            yield

    def close(self) -> None:
        """Flush and end every stream. Idempotent."""
        self.flush()
        for file, stream in self._open.values():
            stream.close()
            file.close()
        self._open.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, table: str, batches: Sequence[pa.RecordBatch]) -> None:
        """Append batches to a table, and flush its file."""
        import pyarrow as pa

        if table not in self._open:
            file = (self.directory / f"{table}.{self.writer}.arrow").open("wb")
            self._open[table] = (
                file,
                pa.ipc.new_stream(file, self._schemas[table], options=ipc_options()),
            )
        file, stream = self._open[table]
        for batch in batches:
            stream.write_batch(batch)
        file.flush()


def is_being_written(directory: Path) -> bool:
    """Return whether a process is writing segments of the run in this directory."""
    if not (directory / SEGMENTS).is_dir():
        return False
    lock = _lock(directory / SEGMENTS, fcntl.LOCK_EX)
    if lock is None:
        return True
    os.close(lock)
    return False


def _lock(directory: Path, kind: int) -> int | None:
    """Return a descriptor that holds a lock on a folder; None when another process has it.

    A file system without locks gives an unlocked descriptor: a run there counts as ended.
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        pass
    return descriptor


def ipc_options() -> pa.ipc.IpcWriteOptions:
    """Return the options for writing: compressed, without threads."""
    import pyarrow as pa

    return pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)


def _batch(schema: pa.Schema, columns: Mapping[str, Values]) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = [_array(field.type, columns[field.name]) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(kind: pa.DataType, values: Values) -> pa.Array:
    """Return an Arrow array, built from buffers.

    ``pyarrow.array`` imports pandas at its first call, which would block the loop of a load
    generator for 0.4 s. The layout is the Arrow columnar format's: a validity bitmap, least
    significant bit first, then offsets (int32) and bytes of strings. A NumPy column has no
    nulls and needs no bitmap.
    """
    import pyarrow as pa

    if pa.types.is_run_end_encoded(kind):
        return _runs(values)
    if isinstance(values, Repeated):
        values = [values.text] * values.count
    elif isinstance(values, Runs):
        values = [run.text for run in values.parts for _ in range(run.count)]
    width = np.int32 if kind == pa.int32() else np.int64
    size = len(values)
    if isinstance(values, np.ndarray):
        return pa.Array.from_buffers(
            kind, size, [None, pa.py_buffer(values.astype(width).tobytes())]
        )
    present = np.fromiter((value is not None for value in values), dtype=bool, count=size)
    bitmap = pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
    if kind == pa.string():
        texts = [b"" if value is None else str(value).encode() for value in values]
        offsets = np.zeros(size + 1, dtype=np.int32)
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        buffers = [bitmap, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(texts))]
    else:
        filled = values if present.all() else [0 if value is None else value for value in values]
        buffers = [bitmap, pa.py_buffer(np.asarray(filled, dtype=width).tobytes())]
    return pa.Array.from_buffers(kind, size, buffers)


def _runs(values: Values) -> pa.Array:
    """Return texts as a run-end encoded array."""
    import pyarrow as pa

    if isinstance(values, Repeated):
        ends, words = [values.count], [values.text]
    elif isinstance(values, Runs):
        ends = np.cumsum([run.count for run in values.parts]).tolist()
        words = [run.text for run in values.parts]
    else:
        ends = [
            i for i in range(1, len(values) + 1) if i == len(values) or values[i] != values[i - 1]
        ]
        words = [values[end - 1] for end in ends]
    kind = pa.run_end_encoded(pa.int32(), pa.string())
    children = [_array(pa.int32(), np.array(ends)), _array(pa.string(), words)]
    return pa.RunEndEncodedArray.from_buffers(kind, ends[-1] if ends else 0, [None], 0, 0, children)


def plain_batch(batch: pa.RecordBatch, table: str) -> pa.RecordBatch:
    """Return a batch of a segment in the columns of ``table_schema``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [
        pc.run_end_decode(column) if pa.types.is_run_end_encoded(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=table_schema(table))


def read_batches(path: Path, problems: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the whole batches of a segment, one at a time.

    A killed writer leaves no end mark, and perhaps a part of a batch. Each adds its own message
    to ``problems``, and neither is an error.
    """
    import pyarrow as pa

    count = 0
    with path.open("rb") as file:
        try:
            stream = pa.ipc.open_stream(file)
            while True:
                batch = stream.read_next_batch()
                count += 1
                yield plain_batch(batch, path.name.partition(".")[0])
        except StopIteration:
            if not _has_end_mark(path):
                problems.append(f"{path.name}: its writer never ended it")
        except (pa.ArrowException, OSError) as error:
            said = str(error).splitlines()[0]
            problems.append(f"{path.name}: cut off after {count} batches ({said})")


def _has_end_mark(path: Path) -> bool:
    """Return whether a stream ends with the Arrow IPC end mark: FFFFFFFF 00000000."""
    with path.open("rb") as file:
        file.seek(-8, 2)
        return file.read() == b"\xff\xff\xff\xff\x00\x00\x00\x00"
