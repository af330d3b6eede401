"""The greenlet that Locust holds for a user never starts, and still is the user to Locust."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.pool import Group
from locust import User
from locust.env import Environment
from locust.exception import StopUser

from loadtests.behaviours.user_greenlet import UserGreenlet


class PlainUser(User):
    """A plain Locust user, whose greenlet is under test."""


class HeldUser:
    """A user whose greenlet is in a group, and what was told of it."""

    def __init__(self) -> None:
        self.environment = Environment(user_classes=[])
        self.errors: list[Exception] = []
        self.told: list[str] = []
        self.environment.events.user_error.add_listener(self._keep)  # type: ignore[no-untyped-call]  # Locust's own gap
        self.group = Group()
        self.user = PlainUser(self.environment)
        self.greenlet = UserGreenlet(self.user, lambda: self.told.append("closed"))
        self.group.add(self.greenlet)

    def _keep(self, *, exception: Exception, **_: object) -> None:
        self.errors.append(exception)


@pytest.fixture
def held() -> Iterator[HeldUser]:
    held = HeldUser()
    yield held
    held.group.kill()


def settle() -> None:
    """Let all that is due in the hub be done."""
    gevent.sleep(0.01)


def test_locust_finds_the_user_among_the_arguments_and_counts_it(held: HeldUser) -> None:
    assert held.greenlet.args == (held.user,)
    assert len(held.group) == 1
    assert not held.greenlet.started
    assert not held.greenlet.dead


def test_work_is_done_and_leaves_no_greenlet(held: HeldUser) -> None:
    workers: list[gevent.Greenlet] = []
    held.greenlet.run_soon(lambda: workers.append(gevent.getcurrent()))
    settle()
    assert [worker.dead for worker in workers] == [True]
    assert not held.greenlet.dead
    assert not held.told


def test_a_kill_ends_the_work_that_other_work_started(held: HeldUser) -> None:
    def wait() -> None:
        try:
            gevent.sleep(60)
        finally:
            held.told.append("interrupted")

    held.greenlet.run_soon(lambda: held.greenlet.run_soon(wait))
    settle()
    held.group.killone(held.greenlet)
    settle()
    assert held.told == ["interrupted", "closed"]  # closed last: nothing opens it again
    assert len(held.group) == 0


def test_a_user_that_only_listens_is_closed_when_it_is_killed(held: HeldUser) -> None:
    held.group.killone(held.greenlet)
    settle()
    assert held.told == ["closed"]
    held.greenlet.run_soon(lambda: held.told.append("too late"))
    settle()
    assert held.told == ["closed"]


def test_work_that_has_not_begun_when_its_user_is_killed_is_not_begun(
    held: HeldUser, capsys: pytest.CaptureFixture[str]
) -> None:
    held.greenlet.run_soon(lambda: held.told.append("too late"))
    held.group.killone(held.greenlet, block=False)
    settle()
    assert held.told == ["closed"]
    assert capsys.readouterr().err == ""


def stop() -> None:
    raise StopUser


def err() -> None:
    raise KeyError("no such thing")


@pytest.mark.parametrize(("work", "errors"), [(stop, 0), (err, 1)], ids=["asked to", "an error"])
def test_what_work_raises_ends_the_user(
    held: HeldUser, work: Callable[[], None], errors: int, capsys: pytest.CaptureFixture[str]
) -> None:
    held.greenlet.run_soon(work)
    settle()
    assert held.told == ["closed"]
    assert held.greenlet.dead
    assert len(held.group) == 0
    assert len(held.errors) == errors
    assert ("no such thing" in capsys.readouterr().err) == bool(errors)
