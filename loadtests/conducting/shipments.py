"""What a worker measured, on its way to the process that has the run directory.

A worker's rows become a parcel with each flush, numbered from 1. A parcel is sent with
every report until it is known to have arrived, so a report that is lost, late or sent
twice loses nothing and counts nothing twice.

ValueError
└── ParcelError      a parcel that cannot be what a worker of this version sent
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.record.segments import SegmentWriter, TableBuffer, segment_schema
from loadtests.results import TABLES

MAX_IN_A_REPORT: Final = 64
"""Parcels of one report; when a master was away for long, the rest goes with the next."""
_CODEC: Final = "zstd"


class ParcelError(ValueError):
    """A parcel that cannot be read; the words say whose and why."""


def load_packer() -> None:
    """Load what packs parcels: tens of ms that belong before the first user, not among them."""
    import pyarrow as pa  # noqa: F401 - to have it loaded


class ParcelWriter(TableBuffer):
    """Packs one process's rows into parcels and keeps them until somebody took them."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._pending: list[dict[str, Any]] = []

    @property
    def last(self) -> int:
        """The number of the newest parcel, 0 before the first."""
        return self._number

    @property
    def is_empty(self) -> bool:
        """Whether every parcel has been taken."""
        return not self._pending

    def flush(self) -> None:
        """Make a parcel of what was kept."""
        for _ in self.flush_in_steps():
            pass

    def flush_in_steps(self) -> Iterator[None]:
        """Make a parcel of what was kept, a table with each step."""
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
        """Return the parcels that nobody is known to have, oldest first."""
        return self._pending[:MAX_IN_A_REPORT]

    def forget(self, number: int) -> None:
        """Drop the parcels up to a number: they have arrived."""
        self._pending = [parcel for parcel in self._pending if parcel["number"] > number]


class ParcelReader:
    """Takes one worker's parcels, each once and in order, and writes them to its segments."""

    def __init__(self, directory: Path, worker: str) -> None:
        self.worker = worker
        self.taken = 0
        self._writer = SegmentWriter(directory, worker)
        self._schemas = {name: segment_schema(name) for name in TABLES}

    def accept(self, parcels: Iterable[Mapping[str, Any]]) -> int:
        """Write what is new, and return the number of the last parcel taken.

        A parcel that came before is passed over; what lies after a gap waits for the
        next report, which brings the missing one again.

        Raises:
            ParcelError: a parcel names an unknown table or holds something else than a batch.
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
