"""The members of the manifest that are known before the first user connects."""

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
    """Return the members of the manifest that do not change during a run.

    Args:
        scenario: what is run.
        directory: the run directory.
        target_url: ``http://HOST:PORT`` of the gateway.
        welcome: a welcome event, for ``limits``, ``clock`` and ``heartbeatInterval``.
        users: virtual users by group.
        spawn_rate: users a second.
        load_s: seconds until the load ends; None when the scenario or a person ends it.
        command: the command line.
        embedded_pid: the process id of an embedded gateway, else None.
        clock_id: the id of this process's clock; None when unknown.
        unix_s: wall-clock seconds of the run's start.
    """
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
