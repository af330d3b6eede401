"""The load generator of a run: Locust, started without the settings of another project."""

from __future__ import annotations

import signal
import site
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadtests.endpoints import unused_port
from loadtests.processes import child_environment, own_command
from loadtests.results import LOGS, SCENARIO
from loadtests.supervision.children import Child
from loadtests.supervision.embedded_nodes import EmbeddedNodes
from loadtests.supervision.request import RunRequest
from scenarios.schema import Scenario

STOP_S: Final = 20.0
_LOCUSTFILE: Final = Path(__file__).resolve().parent.parent / "locustfile.py"


def start_load_generator(
    scenario: Scenario,
    request: RunRequest,
    directory: Path,
    *,
    gateway: EmbeddedNodes | None,
    secret: str,
    tokens: Path | None,
    environment: Mapping[str, str],
    cores: frozenset[int] | None,
) -> Child:
    """Start Locust, the master where there are workers.

    Locust reads ``~/.locust.conf``, and ``locust.conf`` and ``pyproject.toml`` of its folder, which
    also comes first on its module path. So its home and its folder are the run's ``logs``.

    Args:
        scenario: the scenario of the run.
        request: the options of the run.
        directory: the run directory.
        gateway: the embedded nodes; None when the request names a target.
        secret: the gateway's ``JWT_SECRET``; empty when others issue the tokens.
        tokens: the file of the users' tokens; None without one.
        environment: the caller's.
        cores: the cores that it may use; None allows all.
    """
    logs = (directory / LOGS).resolve()
    command = own_command("locust", "-f", str(_LOCUSTFILE), "--headless")
    command += ["--scenario", str(_scenario_file(scenario, request, logs))]
    command += ["--run-dir", str(logs.parent), "--no-report"]
    if gateway is None:
        command += ["-H", str(request.target)]
    else:
        for node in gateway.gateways:
            command += ["--gateway-pid", str(node.pid), "--gateway-log", str(node.log.resolve())]
    if request.turn is not None:
        command += ["--turn", str(request.turn.resolve())]
    if request.users is not None:
        command += ["-u", str(request.users)]
    if request.processes is not None:
        command += ["--processes", str(request.processes), *_master_address()]
    if tokens is not None:
        command += ["--tokens", str(tokens.resolve())]
    if request.metrics_token is not None:
        command += ["--metrics-token", str(request.metrics_token.resolve())]
    own = {"JWT_SECRET": secret, "HOME": str(logs), "PYTHONUSERBASE": site.getuserbase()}
    return Child(
        "load generator",
        command,
        log=logs / "locust.log",
        environment={**child_environment(environment), **own},
        cores=cores,
        orphan_signal=signal.SIGTERM,
        cwd=logs,
    )


def stop_in_order(load: Child, drain_s: float) -> bool:
    """Stop the load: SIGINT, on which Locust ends the run, then SIGTERM, then SIGKILL.

    Args:
        load: the load generator.
        drain_s: how long a run waits for owed deliveries, in s.

    Returns:
        Whether it ended before SIGKILL.
    """
    load.ask_to_stop(signal.SIGINT)
    return load.wait(STOP_S + drain_s) or load.stop(STOP_S)


def _scenario_file(scenario: Scenario, request: RunRequest, logs: Path) -> Path:
    """Return the scenario file for Locust: the original, or a copy with what the run changes."""
    if not request.changes_scenario:
        return request.scenario.resolve()
    path = logs / SCENARIO
    path.write_text(scenario.source, encoding="utf-8")
    return path


def _master_address() -> list[str]:
    """Return Locust's options for a master on a free loopback port.

    Two runs on one machine must not share it, and no other machine may connect.
    """
    port = str(unused_port())
    return [
        *("--master-bind-host", "127.0.0.1", "--master-bind-port", port),
        *("--master-host", "127.0.0.1", "--master-port", port),
    ]
