"""``python fork_server.py DESCRIPTOR``: imports the gateway once, and forks a child for each start.

The descriptor is one end of a pair of sequenced-packet sockets; ``forked.py`` holds the other.
A request is a JSON object with ``arguments``, ``environment`` and ``folder``, and comes with four
descriptors: the three standard streams, and a pipe. The pipe gets two lines: the child's process
id, and its wait status once it has ended. When the socket's other end is closed, the server kills
its children and ends.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from typing import Any, Final

# What every start imports, and what a start imports later for the settings of many tests.
import uvloop  # noqa: F401

import gateway.brokers.redis.link
import gateway.server.app
import gateway.server.checking
import gateway.server.tracing
import gateway.sources.feeds.replay  # noqa: F401
from gateway import __main__ as command
from gateway.server.process import die_with

_MOST_BYTES: Final = 1 << 17
_DESCRIPTORS: Final = 4


@dataclass(frozen=True)
class Child:
    """A child that runs: its id, a descriptor that is readable at its end, and its pipe."""

    pid: int
    descriptor: int
    telling: int


class ForkServer:
    """Forks a child for each request, until the socket's other end is closed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(control, selectors.EVENT_READ)
        self._children: dict[int, Child] = {}

    def serve(self) -> list[str] | None:
        """Return the command's arguments in each child, and ``None`` in the server at its end."""
        while True:
            for key, _ in self._waiting.select():
                if key.fd in self._children:
                    self._report(self._children[key.fd])
                    continue
                asked, descriptors, *_ = socket.recv_fds(self._control, _MOST_BYTES, _DESCRIPTORS)
                if not asked:
                    self._end()
                    return None
                arguments = self._fork(json.loads(asked), descriptors)
                if arguments is not None:
                    return arguments

    def _fork(self, asked: dict[str, Any], descriptors: list[int]) -> list[str] | None:
        *streams, telling = descriptors
        server = os.getpid()
        assert threading.active_count() == 1, "a lock that a thread holds stays locked in a child"
        pid = os.fork()
        if pid == 0:
            die_with(server)
            self._become(streams, telling)
            os.environ.clear()
            os.environ.update(asked["environment"])
            os.chdir(asked["folder"])
            arguments: list[str] = asked["arguments"]
            return arguments
        for stream in streams:
            os.close(stream)
        child = Child(pid, os.pidfd_open(pid), telling)
        self._children[child.descriptor] = child
        self._waiting.register(child.descriptor, selectors.EVENT_READ)
        _tell(telling, pid)
        return None

    def _become(self, streams: list[int], telling: int) -> None:
        """Keep only the standard streams open."""
        self._waiting.close()
        self._control.close()
        os.close(telling)
        for child in self._children.values():
            os.close(child.descriptor)
            os.close(child.telling)
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
            os.close(descriptor)

    def _report(self, child: Child) -> None:
        _, status = os.waitpid(child.pid, 0)
        del self._children[child.descriptor]
        self._waiting.unregister(child.descriptor)
        os.close(child.descriptor)
        _tell(child.telling, status)
        os.close(child.telling)

    def _end(self) -> None:
        for child in self._children.values():
            os.kill(child.pid, signal.SIGKILL)
        for child in self._children.values():
            os.waitpid(child.pid, 0)


def _tell(telling: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(telling, b"%d\n" % number)


def main(descriptor: str) -> int:
    """Serve, or run the command in a child; return the exit code."""
    gc.collect()
    gc.freeze()  # a child's collections neither visit the imported modules nor copy their pages
    with socket.socket(fileno=int(descriptor)) as control:
        control.setblocking(True)
        arguments = ForkServer(control).serve()
    return 0 if arguments is None else command.main(arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
