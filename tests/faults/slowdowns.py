"""Slowdowns in different places, each large enough to break a limit on push times.

Each one works, or makes others work, instead of sleeping: a profile then shows it too.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from gateway.server.app import Gateway
from gateway.transport.websocket import WebSocket
from loadtests.processes import bound_to_us
from tests.faults.ports import wrap

_ACCEPT_S: Final = 0.02
_SEND_S: Final = 150e-6
_HEAP: Final = 300_000
_COLLECT_EACH_S: Final = 0.4
_HOLD_S: Final = 0.06
_HOLD_EACH_S: Final = 0.5
_HOGS: Final = 4


def work(seconds: float) -> None:
    """Use the processor for so long; on a busy host that takes longer, as other work does."""
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


def accept_slowly(gateway: Gateway) -> None:
    """Work for 20 ms before the publications of a request are numbered."""

    def around(publish: Callable[..., Any]) -> Callable[..., Any]:
        def publishing_slowly(*arguments: Any, **more: Any) -> Any:
            work(_ACCEPT_S)
            return publish(*arguments, **more)

        return publishing_slowly

    wrap(gateway.context.broadcaster, "publish", around)


def send_slowly(_gateway: Gateway) -> None:
    """Work for 150 µs at each send to a client."""

    def around(send: Callable[..., Any]) -> Callable[..., Any]:
        def sending_slowly(*arguments: Any, **more: Any) -> Any:
            work(_SEND_S)
            return send(*arguments, **more)

        return sending_slowly

    wrap(WebSocket, "write", around)


def collect_often(gateway: Gateway) -> None:
    """Keep a heap of 300,000 objects, and collect all of it each 0.4 s."""
    heap: list[list[int]] = []

    def collect() -> None:
        if not heap:  # made while clients arrive, so that the gateway listens in time
            heap.extend([n] for n in range(_HEAP))
        gc.unfreeze()
        gc.collect()

    _each(gateway, _COLLECT_EACH_S, collect)


def hold_loop(gateway: Gateway) -> None:
    """Work for 60 ms in a timer each 0.5 s."""
    _each(gateway, _HOLD_EACH_S, lambda: work(_HOLD_S))


def crowd_core(gateway: Gateway) -> None:
    """Let four other processes use the gateway's core."""

    def around(start: Callable[..., None]) -> Callable[..., None]:
        def starting(*arguments: Any) -> None:
            start(*arguments)
            for _ in range(_HOGS):
                subprocess.Popen(
                    [sys.executable, "-c", "while True: pass"],
                    preexec_fn=bound_to_us(),  # noqa: PLW1509 - it has one thread as yet
                )

        return starting

    wrap(gateway._ticks, "start", around)


def _each(gateway: Gateway, seconds: float, action: Callable[[], None]) -> None:
    def around(start: Callable[..., None]) -> Callable[..., None]:
        def starting(*arguments: Any) -> None:
            start(*arguments)
            gateway._ticks._every(seconds, action)

        return starting

    wrap(gateway._ticks, "start", around)


SLOWDOWNS: Final[dict[str, Callable[[Gateway], None]]] = {
    "slow-accept": accept_slowly,
    "slow-fan-out": send_slowly,
    "slow-collections": collect_often,
    "slow-loop": hold_loop,
    "slow-host": crowd_core,
}
"""Every slowdown by name."""
