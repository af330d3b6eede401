"""``NodeSupervisor``: several nodes on one port, each a process. It holds no clients."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.errors import SettingsError
from gateway.server.log import get_logger
from gateway.server.node_process import (
    NodePlace,
    NodeProcess,
    describe_exit,
    node_environment,
)
from gateway.settings import Settings
from gateway.transport import hold_port, url_of
from gateway.values import MOST_NODE_LENGTH

_REFUSED: Final = 2  # the exit code of a node that cannot start with these settings
_SHARE: Final = 0.9  # of the shutdown time, for the drains of all nodes together
_LEAST_SHARE_S: Final = 0.05
_SPARE_S: Final = 1.0  # for a process to end after its drain, and to start to
_START_S: Final = 60.0  # for a node to become ready in a rolling restart
_ECHO_S: Final = 0.6  # a node takes a second signal this long after the first one
_QUICK_S: Final = 3.0

log = get_logger(__name__)


class NodeSupervisor:
    """Starts nodes, starts those again that end, and ends them in turn.

    Args:
        settings: the settings.
        environ: the environment, which the nodes get.
        count: the number of nodes, 2 or more.
        random_secret: the secret that is used if none is given.
        read_again: reads the settings anew, or raises SettingsError.
        tell: told the URL once every node is ready.

    Raises:
        SettingsError: these settings are not for several processes.
        OSError: the address is in use, or not one of this machine; or no folder can be made.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        count: int,
        *,
        random_secret: str,
        read_again: Callable[[], Settings],
        tell: Callable[[str], None],
    ) -> None:
        names = [f"{settings.node}-{number}" for number in range(count)]
        problems = refusals(settings, names)
        if problems:
            raise SettingsError(problems)
        self._read_again = read_again
        self._tell = tell
        self._shutdown_s = settings.shutdown_seconds
        self._share_s = max(_LEAST_SHARE_S, _SHARE * settings.shutdown_seconds / count)
        self._held = hold_port(settings.host, settings.port)
        self._url = url_of(settings.host, self._held, is_secure=False)
        self._folder = Path(tempfile.mkdtemp(prefix="tidegate-"))  # mode 0700
        own = {
            "PORT": str(self._held.getsockname()[1]),
            "GATEWAY_SHUTDOWN_SECONDS": f"{self._share_s:.3f}",
        }
        if settings.jwt_secret == random_secret:  # all nodes must have the same
            own["JWT_SECRET"] = random_secret
        self._nodes = [
            NodeProcess(
                name,
                NodePlace(number, count, self._folder, os.getpid()),
                node_environment(environ, own | own_settings(settings, name)),
            )
            for number, name in enumerate(names)
        ]
        self._has_started = False
        self._is_ending = asyncio.Event()
        self._hurries = asyncio.Event()
        self._rolls_again = False
        self._exit_code = 0
        self._rolling: asyncio.Task[None] | None = None
        self._term_s = 0.0

    async def run(self) -> int:
        """Supervise until a signal, and return the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._stop_quickly)
        loop.add_signal_handler(signal.SIGHUP, self._roll_soon)
        keepers = [asyncio.create_task(self._keep(node)) for node in self._nodes]
        starting = asyncio.create_task(self._announce())
        try:
            await self._is_ending.wait()
            starting.cancel()
            if self._rolling is not None:
                self._rolling.cancel()
            await self._end()
            await asyncio.gather(*keepers)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._held.close()
        return self._exit_code

    async def _announce(self) -> None:
        for node in self._nodes:
            await node.is_ready.wait()
        self._has_started = True
        log.info("listening", url=self._url, processes=len(self._nodes))
        self._tell(self._url)

    async def _keep(self, node: NodeProcess) -> None:
        """Start a node, and start it again whenever it ends."""
        while not self._is_ending.is_set():
            try:
                code = await node.run()
            except OSError as error:  # no process, memory or descriptor is free
                log.error("node not started", refused=node.name, reason=error.strerror)
                await _wait(self._is_ending, node.next_delay_s())
                continue
            if self._is_ending.is_set():
                return
            if node.is_replaced:
                continue
            if code == _REFUSED and not self._has_started:
                self._exit_code = _REFUSED
                self._hurries.set()
                self._is_ending.set()
                return
            delay_s = node.next_delay_s()
            log.error(
                "node ended; it starts again",
                ended=node.name,
                by=describe_exit(code),
                restart_seconds=delay_s,
            )
            await _wait(self._is_ending, delay_s)

    # Signals

    def _stop(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._is_ending.is_set():
            self._term_s = loop.time()
            self._is_ending.set()
        elif loop.time() >= self._term_s + _ECHO_S:
            self._hurries.set()

    def _stop_quickly(self) -> None:
        self._hurries.set()
        self._is_ending.set()

    def _roll_soon(self) -> None:
        if self._is_ending.is_set():
            return
        if self._rolling is not None and not self._rolling.done():
            self._rolls_again = True
            return
        try:
            self._read_again()
        except SettingsError as error:
            log.error("SIGHUP: nothing changed", problems=list(error.problems))
            return
        self._rolling = asyncio.create_task(self._roll())

    async def _roll(self) -> None:
        """Replace one node after the other. A new one must be ready before the next one ends."""
        log.info("rolling restart", processes=len(self._nodes))
        for node in self._nodes:
            node.is_replaced = True
            if not await node.end(self._share_s + _SPARE_S):
                log.warning("node killed: it did not end in time", ended=node.name)
                node.signal(signal.SIGKILL)
                await node.wait_ended(_SPARE_S)
            if not await _wait(node.is_ready, _START_S):
                log.error("rolling restart stopped: a node is not ready", stopped_at=node.name)
                return
            log.info("node replaced", replaced=node.name)
        log.info("rolling restart done")
        if self._rolls_again:
            self._rolls_again = False
            await self._roll()

    # The end

    async def _end(self) -> None:
        """End all nodes within the shutdown time: each drains within its share, in turn."""
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._shutdown_s
        log.info("stopping")
        for node in self._nodes:
            node.signal(signal.SIGUSR1)  # nobody takes a client that another has closed
        for node in self._nodes:
            left_s = ends_s - loop.time()
            if self._hurries.is_set() or left_s <= 0:
                break
            ending = asyncio.create_task(node.end(min(left_s, self._share_s + _SPARE_S)))
            hurrying = asyncio.create_task(self._hurries.wait())
            await asyncio.wait((ending, hurrying), return_when=asyncio.FIRST_COMPLETED)
            hurrying.cancel()
            ending.cancel()
        if self._hurries.is_set():
            await self._end_at_once()
            ends_s = loop.time()
        for node in self._nodes:
            if not await node.wait_ended(max(0.0, ends_s - loop.time())):
                log.warning("node killed: it did not end in time", ended=node.name)
                node.signal(signal.SIGKILL)

    async def _end_at_once(self) -> None:
        for _ in range(2):  # the second one ends a drain
            for node in self._nodes:
                node.signal(signal.SIGTERM)
            await asyncio.gather(*(node.wait_ended(_ECHO_S) for node in self._nodes))
        await asyncio.gather(*(node.wait_ended(_QUICK_S) for node in self._nodes))


def refusals(settings: Settings, names: Sequence[str]) -> list[str]:
    """Return why these settings are not for several processes.

    Args:
        settings: the settings.
        names: the names of the nodes.
    """
    problems = []
    if not has_shared_log(settings):
        problems.append(
            "--processes: several processes need a log that they share; set REDIS_URL, or run one"
        )
    if len(names[-1]) > MOST_NODE_LENGTH:
        problems.append(
            f"GATEWAY_NODE: too long for {len(names)} processes; the name of a node, such as "
            f"{names[-1]}, has {MOST_NODE_LENGTH} characters at most"
        )
    if settings.tls_certificate is not None:
        problems.append(
            "GATEWAY_TLS_CERTIFICATE: a connection with TLS cannot be passed between processes; "
            "let a balancer terminate TLS, or run one process"
        )
    return problems


def own_settings(settings: Settings, name: str) -> dict[str, str]:
    """Return the variables whose values differ between nodes.

    Args:
        settings: the settings.
        name: the name of the node.
    """
    own = {"GATEWAY_NODE": name}
    if settings.audit_log not in (None, "-"):  # a file has one writer and one chain
        own["GATEWAY_AUDIT_LOG"] = f"{settings.audit_log}.{name}"
    return own


def has_shared_log(settings: Settings) -> bool:
    """Return whether the settings name a log that several nodes can share."""
    return settings.redis_url is not None


async def _wait(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event, and return whether it came in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
