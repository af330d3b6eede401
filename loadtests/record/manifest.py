"""The manifest of a run: what ran, on which machine, under which limits, and how far it came.

One process writes it. Each write replaces the whole file, so a reader never sees a part of it.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, cast

from gateway.contract import iso_timestamp
from loadtests.plan.nodes import RunNode
from loadtests.results import FORMAT_VERSION, LOGS, MANIFEST, SCENARIO, SEGMENTS
from scenarios.schema import Scenario

LATEST: Final = "latest"
_log = logging.getLogger(__name__)
_PACKAGES: Final = ("tidegate", "locust", "gevent", "numpy", "pyarrow", "aiohttp")


def create_run_directory(
    runs: Path, scenario: Scenario, unix_s: float, *, name: Path | None = None
) -> Path:
    """Make the directory of a new run with a copy of its scenario, and return it.

    Args:
        runs: the folder of runs. Its link ``latest`` is set to the new one.
        scenario: the scenario of the run.
        unix_s: wall-clock seconds, for the name.
        name: the directory to use instead of a new name; it may exist.

    Raises:
        FileExistsError: the directory already holds a run.
    """
    if name is None:
        moment = datetime.fromtimestamp(unix_s, UTC).strftime("%Y%m%dT%H%M%SZ")
        directory = runs / f"{moment}_{scenario.name}_{secrets.token_hex(3)}"
    else:
        directory = name
    if (directory / MANIFEST).exists():
        raise FileExistsError(f"{directory} already holds a run; name another directory")
    (directory / LOGS).mkdir(parents=True, exist_ok=True)
    (directory / SEGMENTS).mkdir(exist_ok=True)
    (directory / SCENARIO).write_text(scenario.source, encoding="utf-8")
    if name is None:
        _point_latest(runs, directory)
    return directory


def _point_latest(runs: Path, directory: Path) -> None:
    """Set the link ``latest``. Where it cannot be one, the run goes on without it."""
    fresh = runs / f".{LATEST}.{secrets.token_hex(3)}"
    try:
        fresh.symlink_to(directory.name, target_is_directory=True)
        fresh.replace(runs / LATEST)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        words = f"{runs / LATEST} cannot be made a link to the new run: {error.strerror}"
        _log.warning("%s; name it by its path, %s", words, directory)


def find_run(name: str, runs: Path) -> Path:
    """Return the run directory of a name: a path, a directory under ``runs``, or ``latest``.

    Raises:
        FileNotFoundError: there is no such run; the message says what to type.
    """
    for candidate in (Path(name), runs / name):
        if (candidate / MANIFEST).exists() or (candidate / SEGMENTS).exists():
            return candidate.resolve()
    hint = "tidegate run smoke"
    raise FileNotFoundError(f"{name} is no run (nor is {runs / name}); make one with: {hint}")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file, replacing it in one step."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a JSON file's object, None when the file is not there.

    Raises:
        ValueError: the file does not hold a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object")
    return cast(dict[str, Any], content)


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
    nodes: Sequence[RunNode] = (),
) -> dict[str, object]:
    """Return the members of the manifest that do not change during a run.

    Args:
        scenario: the scenario of the run.
        directory: the run directory.
        target_url: ``http://HOST:PORT`` of the gateway, or ``URL,URL`` of its nodes.
        welcome: a welcome event, for ``limits``, ``clock`` and ``heartbeatInterval``.
        users: virtual users by group.
        spawn_rate: users a second.
        load_s: seconds until the load ends; None when the scenario or a person ends it.
        command: the command line.
        embedded_pid: the process id of an embedded gateway, or of its first node, else None.
        clock_id: the id of this process's clock; None when unknown.
        unix_s: wall-clock seconds of the run's start.
        nodes: the nodes, where there are several.
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
        "nodes": [node._asdict() for node in nodes],
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


def describe_versions() -> dict[str, str | None]:
    """Return the versions of Python and the main packages; None for one not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def describe_host() -> dict[str, object]:
    """Return the kernel, machine, processor, cores and memory of this machine."""
    uname = platform.uname()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "kernel": f"{uname.system} {uname.release}",
        "machine": uname.machine,
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": pages,
    }


def describe_placement(gateway_pid: int | None) -> dict[str, list[int] | None]:
    """Return the cores that the load and an embedded gateway may use; None when unknown."""
    if sys.platform != "linux":
        return {"gateway": None, "load": None}
    return {
        "gateway": None if gateway_pid is None else sorted(os.sched_getaffinity(gateway_pid)),
        "load": sorted(os.sched_getaffinity(0)),
    }


def _cpu_name() -> str | None:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return None


def describe_commit() -> tuple[str | None, bool | None]:
    """Return the project's commit and whether files differ from it; None outside a repository."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    commit, changes = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")
    return commit or None, None if changes is None else bool(changes)


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
