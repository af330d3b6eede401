"""Work that is done apart, so that a sleeping user costs less memory.

A greenlet keeps each page that its Python stack ever touched (4 KiB, CPython 3.11), and a
copy of the C stack under the place where it waits. A user that connects ten calls deep and
then sleeps for an hour would hold a second page for nothing; so what is deep is done in a
greenlet that ends, and the long wait is one call above the hub.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import AsyncResult


def do_apart(work: Callable[[], None]) -> None:
    """Do ``work`` in a greenlet of its own and wait for its end; raises what it raises.

    Whoever ends the waiting greenlet ends the work too.
    """
    failures: list[BaseException] = []

    def note_failure() -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - raised again by whoever waits
            failures.append(failure)

    greenlet = gevent.spawn(note_failure)
    try:
        greenlet.join()
    finally:
        greenlet.kill()
    if failures:
        raise failures[0]


def sleep_until(result: AsyncResult) -> Any:
    """Return what the result holds once it is set: as ``get``, with 1.2 KB less under it."""
    wake = gevent.getcurrent().switch
    result.rawlink(wake)
    try:
        while not result.ready():
            gevent.get_hub().switch()
    finally:
        result.unlink(wake)
    return result.get()
