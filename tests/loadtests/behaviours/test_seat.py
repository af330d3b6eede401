"""The greenlet that Locust holds for a user never starts, and still is the user to Locust."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.pool import Group
from locust import User
from locust.env import Environment
from locust.exception import StopUser

from loadtests.behaviours.seat import Seat


class Sitter(User):
    """Whose seat is under test; a user of Locust's and nothing else."""


class Seated:
    """A seat in a group, and what was told of it."""

    def __init__(self) -> None:
        self.environment = Environment(user_classes=[])
        self.errors: list[Exception] = []
        self.told: list[str] = []
        self.environment.events.user_error.add_listener(self._keep)  # type: ignore[no-untyped-call]  # Locust's own gap
        self.group = Group()
        self.user = Sitter(self.environment)
        self.seat = Seat(self.user, lambda: self.told.append("closed"))
        self.group.add(self.seat)

    def _keep(self, *, exception: Exception, **_: object) -> None:
        self.errors.append(exception)


@pytest.fixture
def seated() -> Iterator[Seated]:
    seated = Seated()
    yield seated
    seated.group.kill()


def settle() -> None:
    """Let all that is due in the hub be done."""
    gevent.sleep(0.01)


def test_locust_finds_the_user_among_the_arguments_and_counts_it(seated: Seated) -> None:
    assert seated.seat.args == (seated.user,)
    assert len(seated.group) == 1
    assert not seated.seat.started
    assert not seated.seat.dead


def test_a_turn_is_done_and_leaves_no_greenlet(seated: Seated) -> None:
    turns: list[gevent.Greenlet] = []
    seated.seat.take_turn(lambda: turns.append(gevent.getcurrent()))
    settle()
    assert [turn.dead for turn in turns] == [True]
    assert not seated.seat.dead
    assert not seated.told


def test_a_turn_taken_in_a_turn_is_the_one_that_a_kill_ends(seated: Seated) -> None:
    def wait() -> None:
        try:
            gevent.sleep(60)
        finally:
            seated.told.append("interrupted")

    seated.seat.take_turn(lambda: seated.seat.take_turn(wait))
    settle()
    seated.group.killone(seated.seat)
    settle()
    assert seated.told == ["interrupted", "closed"]  # closed last: nothing opens it again
    assert len(seated.group) == 0


def test_a_user_that_only_listens_is_closed_when_it_is_killed(seated: Seated) -> None:
    seated.group.killone(seated.seat)
    settle()
    assert seated.told == ["closed"]
    seated.seat.take_turn(lambda: seated.told.append("too late"))
    settle()
    assert seated.told == ["closed"]


def test_a_turn_that_has_not_begun_when_its_user_is_killed_is_not_begun(
    seated: Seated, capsys: pytest.CaptureFixture[str]
) -> None:
    seated.seat.take_turn(lambda: seated.told.append("too late"))
    seated.group.killone(seated.seat, block=False)
    settle()
    assert seated.told == ["closed"]
    assert capsys.readouterr().err == ""


def stop() -> None:
    raise StopUser


def err() -> None:
    raise KeyError("no such thing")


@pytest.mark.parametrize(("work", "errors"), [(stop, 0), (err, 1)], ids=["asked to", "an error"])
def test_what_a_turn_raises_ends_the_user(
    seated: Seated, work: Callable[[], None], errors: int, capsys: pytest.CaptureFixture[str]
) -> None:
    seated.seat.take_turn(work)
    settle()
    assert seated.told == ["closed"]
    assert seated.seat.dead
    assert len(seated.group) == 0
    assert len(seated.errors) == errors
    assert ("no such thing" in capsys.readouterr().err) == bool(errors)
