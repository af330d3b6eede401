"""Parcels: a worker's rows on their way to the process that has the run directory.

Each flush makes a parcel of the worker's rows, numbered from 1. Every report repeats a parcel
until the master acknowledges it. So a lost, late or repeated report loses no row, and counts
no row twice.

ValueError
└── ParcelError      a parcel that no worker of this version sends
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.record.segments import SegmentWriter, TableBuffer, segment_schema
from loadtests.results import TABLES

MAX_IN_A_REPORT: Final = 64
"""The most parcels in one report. After a long silence of the master the rest waits."""
_CODEC: Final = "zstd"


class ParcelError(ValueError):
    """A parcel that cannot be read; the message says whose and why."""


def load_packer() -> None:
    """Import PyArrow now: tens of ms in which a worker with users would read nothing."""
    import pyarrow as pa  # noqa: F401 - loaded for later use


class ParcelWriter(TableBuffer):
    """Packs one process's rows into parcels, and keeps them until the master acknowledges them."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._pending: list[dict[str, Any]] = []

    @property
    def last(self) -> int:
        """The number of the newest parcel, 0 before the first."""
        return self._number

    def flush(self) -> None:
        """Make a parcel of the kept rows."""
        for _ in self.flush_in_steps():
            pass

    def flush_in_steps(self) -> Iterator[None]:
        """Make a parcel of the kept rows, one table a step."""
        tables: dict[str, list[tuple[int, bytes]]] = {}
        for table, batches in self.take():
            tables[table] = [_pack(batch) for batch in batches]
            yield
        if tables:
            self._number += 1
            self._pending.append({"number": self._number, "tables": tables})

    def close(self) -> None:
        """Make the last parcel."""
        self.flush()

    def pending(self) -> list[dict[str, Any]]:
        """Return the parcels that are not acknowledged, oldest first."""
        return self._pending[:MAX_IN_A_REPORT]

    def forget(self, number: int) -> None:
        """Drop the parcels up to a number, which the master has acknowledged."""
        self._pending = [parcel for parcel in self._pending if parcel["number"] > number]


class ParcelReader:
    """Writes one worker's parcels to its segments, each once and in order."""

    def __init__(self, directory: Path, worker: str) -> None:
        self.worker = worker
        self.taken = 0
        self._writer = SegmentWriter(directory, worker)
        self._schemas = {name: segment_schema(name) for name in TABLES}

    def accept(self, parcels: Iterable[Mapping[str, Any]]) -> int:
        """Write the new parcels, and return the number of the last one written.

        A repeated parcel is skipped. A parcel after a gap waits for the next report, which
        brings the missing one again.

        Raises:
            ParcelError: a parcel names an unknown table or holds no batch.
        """
        for parcel in sorted(parcels, key=lambda one: int(one["number"])):
            if int(parcel["number"]) == self.taken + 1:
                self._write(parcel["tables"])
                self.taken += 1
        return self.taken

    def close(self) -> None:
        """End the segments."""
        self._writer.close()

    def _write(self, tables: Mapping[str, Sequence[Any]]) -> None:
        import pyarrow as pa

        for table, packed in tables.items():
            if table not in self._schemas:
                raise ParcelError(f"worker {self.worker} sent rows of an unknown table {table}")
            schema = self._schemas[table]
            try:
                batches = [_unpack(int(size), body, schema) for size, body in packed]
            except (pa.ArrowInvalid, OSError) as error:
                raise ParcelError(
                    f"worker {self.worker} sent no batch of {table}: {error}"
                ) from None
            self._writer.write(table, batches)


def _pack(batch: Any) -> tuple[int, bytes]:
    """Return a batch as its size and its compressed bytes."""
    import pyarrow as pa

    message = batch.serialize()
    return message.size, pa.compress(message, codec=_CODEC, asbytes=True)


def _unpack(size: int, packed: bytes, schema: Any) -> Any:
    import pyarrow as pa

    message = pa.decompress(packed, decompressed_size=size, codec=_CODEC)
    return pa.ipc.read_record_batch(message, schema)
