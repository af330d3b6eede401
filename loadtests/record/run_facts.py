"""What a manifest says of a run before its first user connects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.contract import iso_timestamp
from loadtests.record.manifest import (
    describe_commit,
    describe_host,
    describe_placement,
    describe_versions,
)
from loadtests.results import FORMAT_VERSION
from scenarios.schema import Scenario


def describe_run(
    scenario: Scenario,
    *,
    directory: Path,
    target_url: str,
    welcome: Mapping[str, object],
    users: Mapping[str, int],
    spawn_rate: float,
    load_s: float | None,
    command: Sequence[str],
    embedded_pid: int | None,
    clock_id: str | None,
    unix_s: float,
) -> dict[str, object]:
    """Return the part of the manifest that does not change while the run goes."""
    commit, is_dirty = describe_commit()
    gateway_clock = welcome.get("clock")
    return {
        "format_version": FORMAT_VERSION,
        "run_id": directory.name,
        "scenario": scenario.name,
        "seed": scenario.seed,
        "created": iso_timestamp(unix_s),
        "versions": describe_versions(),
        "git_commit": commit,
        "git_dirty": is_dirty,
        "host": describe_host(),
        "placement": describe_placement(embedded_pid),
        "target": {
            "url": target_url,
            "embedded": embedded_pid is not None,
            "pid": embedded_pid,
        },
        "limits": welcome.get("limits"),
        "heartbeat_interval_ms": welcome.get("heartbeatInterval"),
        "clock": {
            "gateway": gateway_clock,
            "generator": clock_id,
            "same": clock_id is not None and clock_id == gateway_clock,
        },
        "users": dict(users),
        "spawn_rate": spawn_rate,
        "load_s": load_s,
        "command": list(command),
    }
