"""A run directory made of known numbers: the same for the same seed, without a gateway.

It looks like a run of ``scenarios/smoke.toml``: 5 s ramp, 3 s warm-up, 30 s steady, 1 s
drain, 300 clients. A test changes it with the arguments of ``make_run``.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loadtests.results import (
    FORMAT_VERSION,
    MANIFEST,
    SCENARIO,
    TABLES,
    Event,
    LimitOutcome,
    Phase,
    Series,
    bucket_of,
)

ROOT: Final = Path(__file__).resolve().parents[2]
SMOKE: Final = ROOT / "scenarios" / "smoke.toml"
PHASES: Final = (
    (Phase.RAMP, 0, 5),
    (Phase.WARM_UP, 5, 8),
    (Phase.STEADY, 8, 38),
    (Phase.DRAIN, 38, 39),
)
CLIENTS: Final = 300
BYTES_PER_CLIENT: Final = 20 * 1024
IDLE_BYTES: Final = 60 << 20
_MS: Final = 1_000_000
_TYPES: Final = {"int64": pa.int64(), "int32": pa.int32(), "string": pa.string()}

Rows = list[dict[str, Any]]
Tables = dict[str, Rows]
Change = Callable[[Tables], None]


def phase_at(second: int) -> Phase:
    """Return the phase of a second of the synthetic run."""
    return next(phase for phase, start, end in PHASES if start <= second < end)


def clients_at(second: int) -> int:
    """Return the number of connected clients in a second: 60 more each second, up to 300."""
    return min(CLIENTS, 60 * (second + 1))


def span_rows(
    series: Series,
    second: int,
    values_ns: Sequence[int],
    family: str = "",
    phase: Phase | None = None,
) -> Rows:
    """Return the rows of ``hist`` for durations measured in one second.

    ``phase`` is for a run whose phases are not this module's.
    """
    buckets, counts = np.unique([bucket_of(int(value)) for value in values_ns], return_counts=True)
    return [
        {
            "t_s": second,
            "phase": str(phase_at(second) if phase is None else phase),
            "worker": "publisher" if series.startswith("publish") else "local",
            "series": str(series),
            "family": family,
            "bucket": int(bucket),
            "count": int(count),
        }
        for bucket, count in zip(buckets, counts, strict=True)
    ]


def make_run(
    directory: Path,
    *,
    seed: int = 7,
    scenario: str | None = None,
    manifest: Mapping[str, Any] | None = None,
    change: Change | None = None,
    without: Sequence[str] = (),
    tables: Tables | None = None,
) -> Path:
    """Write a run directory and return it.

    Args:
        directory: made when it is not there.
        seed: seed of the noise.
        scenario: the text of ``scenario.toml``; the smoke scenario by default.
        manifest: members that replace the manifest's own.
        change: called with all tables as lists of rows before they are written.
        without: tables that are not written at all.
        tables: rows to write instead of those of a smoke run.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if scenario is None:
        shutil.copyfile(SMOKE, directory / SCENARIO)
    else:
        (directory / SCENARIO).write_text(scenario, encoding="utf-8")
    if tables is None:
        tables = {name: [dict(row) for row in rows] for name, rows in _tables(seed).items()}
    if change is not None:
        change(tables)
    for name in TABLES:
        if name in without:
            continue
        if tables[name] == _tables(seed)[name]:
            (directory / f"{name}.parquet").write_bytes(_usual_file(name, seed))
        else:
            write_table(directory, name, tables[name])
    facts = {**_manifest(directory.name), **(manifest or {})}
    (directory / MANIFEST).write_text(json.dumps(facts), encoding="utf-8")
    return directory


def write_table(directory: Path, name: str, rows: Rows) -> None:
    """Write one table in the columns and types of the results contract."""
    (directory / f"{name}.parquet").write_bytes(_file_of(name, rows))


def _file_of(name: str, rows: Rows) -> bytes:
    schema = pa.schema([(column.name, _TYPES[column.kind]) for column in TABLES[name]])
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), written)
    return written.getvalue()


@cache
def _usual_file(name: str, seed: int) -> bytes:
    """Return an unchanged table from the cache: most tests change one table at most."""
    return _file_of(name, _tables(seed)[name])


@cache
def _tables(seed: int) -> Tables:
    """Return the rows of a smoke run; callers must not change them."""
    noise = np.random.default_rng(seed)
    tables: Tables = {name: [] for name in TABLES}
    cpu_ns = 0
    for second in range(PHASES[-1][2]):
        cpu_ns += int(noise.normal(180, 15) * _MS)
        tables["hist"] += _hist(second, noise)
        tables["timeline"] += _timeline(second)
        tables["server"].append(_server(second, cpu_ns, noise))
        tables["generator"].append(_generator(second, noise))
    tables["ledger"] = _ledger()
    tables["events"] = _events()
    return tables


def _hist(second: int, noise: np.random.Generator) -> Rows:
    def around(median_ms: float, spread: float, size: int) -> list[int]:
        return [int(v) for v in noise.lognormal(np.log(median_ms * _MS), spread, size)]

    rows = span_rows(Series.LOOP_LAG, second, around(0.4, 0.8, 100))
    if phase_at(second) is Phase.RAMP:
        return rows + span_rows(Series.CONNECT, second, around(14, 0.4, 60))
    if phase_at(second) is Phase.DRAIN:
        return rows
    rows += span_rows(Series.PUSH, second, around(1.9, 0.45, 700))
    rows += span_rows(Series.PUSH_SERVICE, second, around(1.2, 0.4, 700))
    rows += span_rows(Series.ACK, second, around(2.4, 0.5, 16))
    rows += span_rows(Series.ACK_SERVICE, second, around(1.6, 0.4, 16))
    rows += span_rows(Series.SCHEDULE_DELAY, second, around(0.5, 0.5, 16))
    rows += span_rows(Series.PUBLISH_DELAY, second, around(0.6, 0.5, 55))
    rows += span_rows(Series.PUBLISH_ACK, second, around(2.8, 0.4, 20))
    if second % 5 == 1:
        gaps = 5_000 * _MS + noise.normal(0, 1.2 * _MS, CLIENTS).astype(int)
        rows += span_rows(Series.HEARTBEAT_GAP, second, gaps.tolist())
        rows += span_rows(Series.HEARTBEAT_ERROR, second, np.abs(gaps - 5_000 * _MS).tolist())
    return rows


def _timeline(second: int) -> Rows:
    busy = phase_at(second) in (Phase.WARM_UP, Phase.STEADY)
    common = {"t_s": second, "phase": str(phase_at(second)), "errors": 0, "missed": 0}
    users = {"clients": clients_at(second), "offered": 16 * busy, "sent": 16 * busy}
    publisher = {"clients": 0, "offered": 55 * busy, "sent": 55 * busy}
    return [
        {
            **common,
            **users,
            "worker": "local",
            "received": 700 * busy,
            "bytes_received": 190_000 * busy,
        },
        {**common, **publisher, "worker": "publisher", "received": 0, "bytes_received": 0},
    ]


def _server(second: int, cpu_ns: int, noise: np.random.Generator) -> dict[str, Any]:
    memory = IDLE_BYTES + clients_at(second) * BYTES_PER_CLIENT + int(noise.normal(0, 4_096))
    return {
        "t_s": second,
        "phase": str(phase_at(second)),
        "clients": clients_at(second),
        "cpu_ns": cpu_ns,
        "rss_bytes": memory + (12 << 20),
        "pss_anon_bytes": memory,
        "fds": 20 + clients_at(second),
        "messages_out": 700 * second,
        "loop_lag_ns": int(noise.lognormal(np.log(2 * _MS), 0.4)),
    }


def _generator(second: int, noise: np.random.Generator) -> dict[str, Any]:
    idle = phase_at(second) in (Phase.RAMP, Phase.DRAIN)
    return {
        "t_s": second,
        "phase": str(phase_at(second)),
        "worker": "local",
        "cpu_ns": int(noise.normal(310, 30) * _MS),
        "run_queue_ns": int(noise.lognormal(np.log(6 * _MS), 0.5)),
        "steal_ns": None,
        "loop_lag_max_ns": int(noise.lognormal(np.log(4 * _MS), 0.5)),
        "schedule_delay_max_ns": None if idle else int(noise.lognormal(np.log(2 * _MS), 0.4)),
        "share_max_ns": None if idle else int(noise.lognormal(np.log(1 * _MS), 0.4)),
        "gc_pause_ns": 900_000,
        "gc_pause_max_ns": 700_000,
    }


def ledger_row(stream: str, group: str, owed: int, **counts: int) -> dict[str, Any]:
    """Return a ledger row with every owed delivery received, changed by ``counts``."""
    row = {"conflated": 0, "lost": 0, "duplicate": 0, "reordered": 0, **counts}
    row = {"late": 0, "leaked": 0, **row}
    received = owed - row["lost"] - row["conflated"]
    head = {"worker": "local", "stream": stream, "group": group, "clients": 12}
    return {**head, "owed": owed, "received": received, **row}


def _ledger() -> Rows:
    rows = [
        ledger_row(f"{family}:SYM{index:03d}/USDT", group, owed // (index + 1))
        for family, owed in (("price", 4_800), ("ticker", 1_200))
        for group in ("subscriber", "trader")
        for index in range(50)
    ]
    rows.append(ledger_row("trading", "trader", 9_900))
    rows.append(ledger_row("user", "trader", 165))
    return rows


def event_row(at_ns: int, event: Event, outcome: str = "", **more: Any) -> dict[str, Any]:
    """Return an event row; fields that ``more`` does not set are empty or absent."""
    row: dict[str, Any] = {"worker": "local", "user": "", "group": "", "sent_ns": None}
    row |= {"value_ns": None, "detail": "", **more}
    return {"t_ns": at_ns, "event": str(event), "outcome": outcome, **row}


def client_row(
    place: int, mean_ns: int, *, pushes: int = 100, group: str = "subscriber"
) -> dict[str, Any]:
    """Return one client's row; ``mean_ns`` is the mean of its pushes."""
    return {
        "worker": "local",
        "user": f"vu-{place}",
        "group": group,
        "place": place,
        "welcome_ns": place * 10 * _MS,
        "connects": 1,
        "pushes": pushes,
        "push_sum_ns": pushes * mean_ns,
        "push_max_ns": 3 * mean_ns if pushes else None,
    }


def limit_row(sent_ns: int, outcome: LimitOutcome, retry_after_ms: int | None = None) -> Any:
    """Return the row of a decision on the abuser's event sent at ``sent_ns``."""
    value = None if retry_after_ms is None else retry_after_ms * _MS
    return event_row(
        sent_ns + 2 * _MS,
        Event.LIMIT,
        str(outcome),
        user="vu-299",
        group="abuser",
        sent_ns=sent_ns,
        value_ns=value,
    )


def _events() -> Rows:
    rows = [event_row(start * 1_000 * _MS, Event.PHASE, str(phase)) for phase, start, _ in PHASES]
    burst_at = 5_000 * _MS
    sent = [burst_at + index * _MS // 10 for index in range(70)]
    sent += [burst_at + (index + 1) * 1_000 * _MS for index in range(32)]
    for index, at_ns in enumerate(sent):
        if index < 60:
            rows.append(limit_row(at_ns, LimitOutcome.ACCEPTED))
        else:
            wait_ms = (burst_at + 60_000 * _MS - at_ns) // _MS
            rows.append(limit_row(at_ns, LimitOutcome.REFUSED, wait_ms))
    return rows


def _manifest(run_id: str) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "run_id": run_id,
        "status": "complete",
        "scenario": "smoke",
        "seed": 20,
        "created": "2026-11-23T10:00:00.000Z",
        "versions": {"python": "3.11.9", "tidegate": "0.1.0", "locust": "2.47.0"},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "git_dirty": False,
        "host": {
            "kernel": "Linux 6.1.0",
            "machine": "x86_64",
            "cpu": "Synthetic CPU",
            "cores": 2,
            "memory_bytes": 8 << 30,
        },
        "target": {"url": "http://127.0.0.1:40123", "embedded": True, "pid": 4242},
        "limits": {"events": {"connection": {"limit": 60, "windowMs": 60_000}}},
        "heartbeat_interval_ms": 5_000,
        "clock": {"gateway": "a" * 16, "generator": "a" * 16, "same": True},
        "t0_monotonic_ns": 1_000_000_000,
        "phases": [
            {"phase": str(phase), "start_s": float(start), "end_s": float(end)}
            for phase, start, end in PHASES
        ],
        "users": {"subscriber": 239, "trader": 60, "abuser": 1},
        "command": ["tidegate", "run", "scenarios/smoke.toml"],
        "unmeasured": ["time stolen by the host"],
        "publisher": {"status": "complete", "published": 1_815, "late": 0, "missed": 0},
        "gateway": {"status": "ok", "exit_code": 0},
        "problems": [],
    }
