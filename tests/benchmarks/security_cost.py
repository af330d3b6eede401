"""``python tests/benchmarks/security_cost.py``: memory of a client with TLS and without, and the
time that a security event takes on the event loop."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

from blackbox.process import GatewayProcess  # noqa: E402 - needs the path above
from certificates import make_chain  # noqa: E402 - as above
from peers import RawPeer  # noqa: E402 - as above
from serving import Address  # noqa: E402 - as above

from gateway.anomaly import Anomalies, Signal, SubjectKind  # noqa: E402 - as above
from gateway.audit import AuditEvent  # noqa: E402 - as above
from gateway.contract import SOCKETIO_PATH  # noqa: E402 - as above
from gateway.server.audit_log import AuditLog  # noqa: E402 - as above

KEY: Final = "q3vX9mT2kL7pR4wZ8cN1bH6jF5dG0aYs"
_COMMAND: Final = (sys.executable, "-m", "gateway")  # a fork's pages are its parent's at first
_EVENTS: Final = 10_000
_RESIDENT: Final = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)


def resident_kb(gateway: GatewayProcess) -> int:
    """Return the resident memory of a gateway, KB."""
    match = _RESIDENT.search(Path(f"/proc/{gateway.process.pid}/status").read_text())
    assert match is not None
    return int(match[1])


async def kb_a_client(gateway: GatewayProcess, clients: int, tls: ssl.SSLContext | None) -> float:
    """Return the memory that each of many connected clients takes, KB."""
    async with asyncio.TaskGroup() as tasks:
        stop = asyncio.Event()

        async def live(number: int, ready: asyncio.Event) -> None:
            address = Address(gateway.host, gateway.port, SOCKETIO_PATH)
            async with RawPeer.websocket(address, tls=tls) as peer:
                await peer.read_message()
                token = gateway.token(f"user-{number}")
                await peer.send_packets("40" + json.dumps({"token": token}))
                await peer.read_message()
                await peer.read_message()
                ready.set()
                await stop.wait()

        async def open_clients(first: int, count: int) -> None:
            for number in range(first, first + count):
                ready = asyncio.Event()
                tasks.create_task(live(number, ready))
                await ready.wait()

        await open_clients(0, 50)  # what the first clients cost is not theirs alone
        before_kb = resident_kb(gateway)
        await open_clients(50, clients)
        after_kb = resident_kb(gateway)
        stop.set()
    return (after_kb - before_kb) / clients


def measure_memory(folder: Path, clients: int) -> dict[str, float]:
    """Return the KB a client of a plain gateway and of one with TLS."""
    chain = make_chain(folder / "tls")
    tls = {"GATEWAY_TLS_CERTIFICATE": str(chain.certificate), "GATEWAY_TLS_KEY": str(chain.key)}
    quiet = {"GATEWAY_HEARTBEAT_SECONDS": "3600", "GATEWAY_CONNECTION_COUNT_SECONDS": "0"}
    found = {}
    for name, settings in (("plain", {}), ("tls", tls)):
        given = quiet | settings
        gateway = GatewayProcess(folder / f"{name}.log", given, command=_COMMAND)
        context = chain.client if settings else None
        try:
            found[name] = asyncio.run(kb_a_client(gateway, clients, context))
        finally:
            gateway.stop()
    return found


def nanoseconds_of_audit(path: Path) -> tuple[float, float]:
    """Return the ns that an event takes where it happens, and until its line is written."""
    log = AuditLog(str(path), KEY, lambda line: None)
    log.start()
    began_ns = time.perf_counter_ns()
    for number in range(_EVENTS):
        log.note(
            AuditEvent.AUTHENTICATED, user=f"user-{number}", address="192.0.2.7", client="c" * 20
        )
    noted_ns = time.perf_counter_ns() - began_ns
    log.close(timeout_s=60)
    return noted_ns / _EVENTS, (time.perf_counter_ns() - began_ns) / _EVENTS


def nanoseconds_of_watch() -> float:
    """Return the ns that the watch for anomalies takes for one event of a client."""
    watch, names = Anomalies(SubjectKind.USER), [f"user-{number}" for number in range(1_000)]
    began_ns = time.perf_counter_ns()
    for turn in range(20 * _EVENTS):
        watch.note(names[turn % 1_000], Signal.SUBSCRIPTION, turn * 1_000_000)
    return (time.perf_counter_ns() - began_ns) / (20 * _EVENTS)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what the security settings cost.")
    parser.add_argument("--clients", type=int, default=1_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        memory = measure_memory(folder, asked.clients)
        noted, written = nanoseconds_of_audit(folder / "audit.log")
    told = (
        f"memory of a client: {memory['plain']:.1f} KB plain, {memory['tls']:.1f} KB with TLS",
        f"audit log: {noted:,.0f} ns where an event happens, {written:,.0f} ns with its writing",
        f"watch for anomalies: {nanoseconds_of_watch():,.0f} ns an event of a client",
    )
    sys.stdout.write("\n".join(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
