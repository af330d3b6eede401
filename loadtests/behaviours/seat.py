"""A virtual user's place among Locust's greenlets, without a stack of its own.

Locust knows a user by the greenlet that runs it: it counts it, waits for it and kills it. But a
greenlet that waits keeps each page that its Python stack ever touched (4 KiB, CPython 3.11) and
a copy of the C stack under the place where it waits, which a user that only listens has no use
for. So the greenlet that Locust holds is one that never starts, and what the user
has to do is done in turns, each in a greenlet that ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import gevent
from locust import User
from locust.exception import StopUser


class Seat(gevent.Greenlet):  # type: ignore[misc]  # gevent has no types
    """One user's: never started, and dead once the user has ended, by itself or by Locust.

    Args:
        user: whose it is.
        close: closes the user; called once, when the seat has died and no turn of it is left.
    """

    spawning_stack_limit = 0  # who spawned it is known, and would be kept ten frames deep

    def __init__(self, user: User, close: Callable[[], None]) -> None:
        super().__init__(_never, user)  # Locust looks for the user among the arguments
        self._close = close
        self._turn: gevent.Greenlet | None = None
        self.rawlink(Seat._leave)

    def take_turn(self, work: Callable[[], None]) -> None:
        """Have something done soon, in a greenlet of its own; does not wait, nor block.

        ``StopUser`` raised in it ends the user; any other error ends it too, and is reported as
        Locust reports that of a task. Once the seat is dead nothing is done any more.
        """
        if not self.dead:
            self._turn = gevent.spawn(self._do, work)

    def _do(self, work: Callable[[], None]) -> None:
        if self.dead:  # killed since the turn was spawned
            return
        user = self.args[0]
        try:
            work()
        except StopUser:
            self.kill(block=False)
        except Exception as error:  # noqa: BLE001 - reported, and raised in the seat
            user.environment.events.user_error.fire(
                user_instance=user, exception=error, tb=error.__traceback__
            )
            self.kill(sys.exc_info(), block=False)
        finally:
            if self._turn is gevent.getcurrent():
                self._turn = None

    def _leave(self) -> None:
        """End what the user does, and then the user; in the hub, once the seat has died."""
        if self._turn is None:
            self._close()
        else:
            self._turn.rawlink(lambda _turn: self._close())
            self._turn.kill(block=False)


def _never(_user: User) -> None:
    raise RuntimeError("a seat was started")
