"""The last descriptors are for health and metrics; their use is told once a minute."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from gateway.transport import DescriptorReserve

LIMIT = 256  # the reserve is the last 32, and half of them may wait for their head
MINUTE_NS = 60_000_000_000


class Transport(asyncio.BaseTransport):
    """A transport with a descriptor."""

    def __init__(self, number: int) -> None:
        super().__init__({"socket": self})
        self.number = number

    def fileno(self) -> int:
        return self.number


class Connection:
    """A connection that may be aborted."""

    def __init__(self) -> None:
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


class Reserve:
    """A reserve, its clock and its warnings."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.warnings: list[tuple[int, int]] = []
        self.reserve = DescriptorReserve(
            LIMIT,
            paths=("/health", "/metrics"),
            now_ns=lambda: self.now_ns,
            warn=lambda *warning: self.warnings.append(warning),
        )

    def holds(self, number: int, connection: Any = None) -> bool:
        return self.reserve.holds(connection or Connection(), Transport(number))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Reserve:
    """Return a reserve in a process that has no free descriptor below it."""
    monkeypatch.setattr("gateway.transport.descriptors.os.dup", no_descriptor)
    return Reserve()


def no_descriptor(_descriptor: int) -> int:
    raise OSError(errno.EMFILE, "Too many open files")


def test_a_number_near_the_limit_is_of_the_reserve(place: Reserve) -> None:
    assert not place.holds(223)
    assert place.holds(224)


def test_a_connection_is_not_asked_for_its_number_while_others_are_free() -> None:
    transport = asyncio.BaseTransport({"socket": None})
    assert not Reserve().reserve.holds(Connection(), transport)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_health_and_metrics_are_served_from_the_reserve(place: Reserve, path: str) -> None:
    assert place.reserve.serves(path)
    assert not place.reserve.serves(f"/socket.io{path}")


def test_silent_connections_do_not_use_the_reserve_up(place: Reserve) -> None:
    silent = [Connection() for _ in range(40)]
    for connection in silent:
        assert place.holds(224, connection)
    assert [connection.is_aborted for connection in silent] == [True] * 24 + [False] * 16


def test_a_connection_whose_head_is_complete_makes_room(place: Reserve) -> None:
    answered = [Connection() for _ in range(40)]
    for connection in answered:
        place.holds(224, connection)
        place.reserve.forget(connection)
    assert not any(connection.is_aborted for connection in answered)


def test_exhaustion_is_told_at_once_and_then_once_a_minute(place: Reserve) -> None:
    for _ in range(5):
        place.reserve.refused()
    assert place.warnings == [(LIMIT, 1)]
    place.now_ns = MINUTE_NS
    place.reserve.refused()
    place.reserve.refused()
    assert place.warnings == [(LIMIT, 1), (LIMIT, 5)]


@pytest.mark.usefixtures("place")
def test_a_tiny_limit_still_has_a_reserve() -> None:
    reserve = DescriptorReserve(8, paths=(), now_ns=lambda: 0, warn=lambda *_: None)
    assert reserve.holds(Connection(), Transport(7))
    assert reserve.holds(Connection(), Transport(7))


@pytest.mark.parametrize("others", [0, 1], ids=["connections alone", "as many other descriptors"])
def test_the_kernel_is_rarely_asked_and_the_reserve_is_not_missed(
    monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    place, asked = Reserve(), []

    def lowest(_descriptor: int) -> int:
        asked.append(number)
        return number + 1

    monkeypatch.setattr("gateway.transport.descriptors.os.dup", lowest)
    monkeypatch.setattr("gateway.transport.descriptors.os.close", lambda _descriptor: None)
    for number in range(10, 250, 1 + others):
        assert place.holds(number) is (number >= 224)
    assert len([one for one in asked if one < 224]) < 20
