"""A virtual user's entry among Locust's greenlets, without a stack of its own.

Locust knows a user by the greenlet that runs it: Locust counts, joins and kills that greenlet.
A waiting greenlet keeps every page that its Python stack ever touched (4 KiB, CPython 3.11) and
a copy of the C stack. A user that only listens needs neither. So Locust holds a greenlet that
never starts, and each piece of the user's work runs in a greenlet that ends with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import gevent
from locust import User
from locust.exception import StopUser


class UserGreenlet(gevent.Greenlet):  # type: ignore[misc]  # gevent has no types
    """The greenlet that Locust holds for a user. It never starts and dies when the user ends.

    Args:
        user: the virtual user.
        close: closes the user. It is called once, after the last piece of work has ended.
    """

    spawning_stack_limit = 0  # gevent would keep ten frames of the spawning stack

    def __init__(self, user: User, close: Callable[[], None]) -> None:
        super().__init__(_never, user)  # Locust looks for the user among the arguments
        self._close = close
        self._working: gevent.Greenlet | None = None
        self.rawlink(UserGreenlet._end)

    def run_soon(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a greenlet of its own, without waiting for it.

        ``StopUser`` raised in it ends the user. Any other error ends the user too, and is reported
        as Locust reports an error of a task. A dead user runs nothing.
        """
        if not self.dead:
            self._working = gevent.spawn(self._do, work)

    def _do(self, work: Callable[[], None]) -> None:
        if self.dead:  # killed since the work was spawned
            return
        user = self.args[0]
        try:
            work()
        except StopUser:
            self.kill(block=False)
        except Exception as error:  # noqa: BLE001 - reported, and raised in this greenlet
            user.environment.events.user_error.fire(
                user_instance=user, exception=error, tb=error.__traceback__
            )
            self.kill(sys.exc_info(), block=False)
        finally:
            if self._working is gevent.getcurrent():
                self._working = None

    def _end(self) -> None:
        """End the work under way, then close the user. Runs in the hub after the death."""
        if self._working is None:
            self._close()
        else:
            self._working.rawlink(lambda _working: self._close())
            self._working.kill(block=False)


def _never(_user: User) -> None:
    raise RuntimeError("a user's greenlet was started")
