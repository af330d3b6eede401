"""``NodeProcess``: one of the processes that a supervisor starts, ends and starts again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.server.shared_port import READY, YES
from gateway.transport import ask, socket_of

_FIRST_DELAY_S: Final = 0.5
_LONGEST_DELAY_S: Final = 30.0
_STABLE_S: Final = 60.0  # a node that lived this long starts with the first delay again
_POLL_S: Final = 0.05
_ANSWER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class NodePlace:
    """What a node is told of the processes on its port, as arguments of its command.

    Attributes:
        number: its own number, from 0.
        count: the number of processes.
        folder: the private folder with their Unix sockets.
        supervisor: the process id of the supervisor.
    """

    number: int
    count: int
    folder: Path
    supervisor: int

    def arguments(self) -> list[str]:
        """Return the arguments of the command."""
        return ["--node", str(self.number), str(self.count), str(self.folder), str(self.supervisor)]

    @classmethod
    def of(cls, arguments: list[str]) -> NodePlace:
        """Return the place of arguments.

        Raises:
            ValueError: they are not those of a supervisor.
        """
        number, count, folder, supervisor = arguments
        return cls(int(number), int(count), Path(folder), int(supervisor))


class NodeProcess:
    """A node, which has at most one process at a time.

    Args:
        name: the name of the node.
        place: what it is told.
        environment: the environment of its process.

    Attributes:
        is_ready: set while it accepts clients, as far as the supervisor has heard.
        is_replaced: whether the supervisor ended it to start it again.
    """

    def __init__(self, name: str, place: NodePlace, environment: Mapping[str, str]) -> None:
        self.name = name
        self.is_ready = asyncio.Event()
        self.is_replaced = False
        self._place = place
        self._environment = environment
        self._failures = 0
        self._process: asyncio.subprocess.Process | None = None
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self) -> int:
        """Start the process, wait for its end, and return its exit code.

        The code is negative for a signal. A process group of its own keeps a terminal's Ctrl-C
        for the supervisor.

        Raises:
            OSError: the process cannot be started.
        """
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self.is_replaced = False
        self._ended.clear()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "gateway", *self._place.arguments()),
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                process_group=0,
            )
            watching = asyncio.create_task(self._watch())
            try:
                return await self._process.wait()
            finally:
                watching.cancel()
        finally:
            self._process = None
            self.is_ready.clear()
            self._ended.set()
            if loop.time() - began_s >= _STABLE_S:
                self._failures = 0

    async def _watch(self) -> None:
        """Set ``is_ready`` once the process accepts clients."""
        path = socket_of(self._place.folder, self._place.number)
        while await ask(path, READY, b"", _ANSWER_S) != YES:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(_POLL_S)
        self.is_ready.set()

    def next_delay_s(self) -> float:
        """Count a failure, and return how long to wait before the next start."""
        delay_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0**self._failures)
        self._failures += 1
        return delay_s

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if there is one."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def end(self, timeout_s: float) -> bool:
        """Have the process drain and end, and return whether it did in time."""
        self.signal(signal.SIGTERM)
        return await self.wait_ended(timeout_s)

    async def wait_ended(self, timeout_s: float) -> bool:
        """Wait until there is no process, and return whether that came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True


def describe_exit(code: int) -> str:
    """Return an exit code for people: the number, or the name of the signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def node_environment(environ: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a node.

    Args:
        environ: the supervisor's.
        own: what is set in its place.
    """
    path = str(Path(__file__).parents[2])
    held = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {**environ, "PYTHONPATH": os.pathsep.join([path, *held]), **own}
