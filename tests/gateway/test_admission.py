from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from gateway.admission import AddressAdmission, UserConnections, client_address
from gateway.settings import Settings

S = 1_000_000_000
MakeSettings = Callable[..., Settings]
PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.fixture
def door(make_settings: MakeSettings) -> AddressAdmission:
    return AddressAdmission(
        make_settings(
            GATEWAY_MAX_CONNECTS_PER_MINUTE_PER_ADDRESS="3", GATEWAY_MAX_CONNECTIONS_PER_ADDRESS="2"
        )
    )


def test_a_session_over_those_at_once_is_refused_until_one_ends(door: AddressAdmission) -> None:
    assert door.admit("1.2.3.4", 0) is None
    assert door.admit("1.2.3.4", 0) is None
    refusal = door.admit("1.2.3.4", 0)
    assert refusal is not None
    assert (refusal.status, refusal.reason) == (429, "connections_per_address")
    assert refusal.retry_after_s > 0
    door.release("1.2.3.4")
    assert door.admit("1.2.3.4", 0) is None, "the refused one was charged to the minute"


def test_a_session_over_the_minute_is_told_when_to_come_back(door: AddressAdmission) -> None:
    for second in range(3):
        assert door.admit("1.2.3.4", second * S) is None
        door.release("1.2.3.4")
    refusal = door.admit("1.2.3.4", 3 * S)
    assert refusal is not None
    assert (refusal.reason, refusal.retry_after_s) == ("connects_per_minute", 57.0)
    assert door.admit("1.2.3.5", 3 * S) is None
    assert door.admit("1.2.3.4", 60 * S) is None


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        pytest.param("2001:db8::1", "2001:db8:0:0:ffff::2", True, id="one /64"),
        pytest.param("2001:db8::1", "2001:db8:0:1::1", False, id="two /64"),
        pytest.param("1.2.3.4", "::ffff:1.2.3.4", True, id="IPv4 in IPv6"),
        pytest.param("1.2.3.4", "1.2.3.5", False, id="two IPv4"),
        pytest.param("fe80::1%eth0", "fe80::2", True, id="zone"),
        pytest.param("", "", True, id="no address"),
    ],
)
def test_addresses_are_counted_together(
    door: AddressAdmission, first: str, second: str, together: bool
) -> None:
    assert door.admit(first, 0) is None
    assert door.admit(first, 0) is None
    assert (door.admit(second, 0) is not None) is together


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_exempt_and_takes_no_memory(door: AddressAdmission, address: str) -> None:
    assert all(door.admit(address, 0) is None for _ in range(300))
    assert len(door) == 0
    door.release(address)


def test_an_address_is_forgotten_a_minute_after_its_last_session(door: AddressAdmission) -> None:
    door.admit("1.2.3.4", 0)
    door.sweep(60 * S)
    assert len(door) == 1, "its session is open"
    door.release("1.2.3.4")
    assert len(door) == 0
    door.admit("1.2.3.4", 61 * S)
    door.release("1.2.3.4")
    door.sweep(121 * S - 1)
    assert len(door) == 1
    door.sweep(121 * S)
    assert len(door) == 0


@pytest.mark.parametrize(
    ("peer", "header", "address"),
    [
        pytest.param("1.1.1.1", "2.2.2.2", "1.1.1.1", id="an untrusted peer's word is nothing"),
        pytest.param("10.0.0.1", None, "10.0.0.1", id="no header"),
        pytest.param("10.0.0.1", "2.2.2.2", "2.2.2.2", id="one hop"),
        pytest.param("10.0.0.1", "6.6.6.6, 2.2.2.2", "2.2.2.2", id="what the client invented"),
        pytest.param("10.0.0.1", "2.2.2.2, 10.0.0.2", "2.2.2.2", id="two proxies"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="all trusted"),
        pytest.param("10.0.0.1", "2.2.2.2, junk", "10.0.0.1", id="junk ends the walk"),
        pytest.param("10.0.0.1", "2.2.2.2:4711", "2.2.2.2", id="port"),
        pytest.param("::1", "[2001:db8::1]:4711", "2001:db8::1", id="IPv6 and port"),
        pytest.param("::ffff:10.0.0.1", "2.2.2.2", "2.2.2.2", id="IPv4 in IPv6"),
        pytest.param("", "2.2.2.2", "", id="no peer address"),
    ],
)
def test_the_clients_address(peer: str, header: str | None, address: str) -> None:
    assert client_address(peer, header, PROXIES) == address


def test_a_21st_connection_closes_the_longest_silent_one() -> None:
    connections = UserConnections(20)
    for number in range(20):
        assert connections.add("al", f"c{number}", number) is None
    connections.touch("c0", 100)
    assert connections.add("bob", "b0", 100) is None
    assert connections.add("al", "c20", 101) == "c1"


def test_a_connection_that_is_leaving_is_not_named_twice_nor_revived() -> None:
    connections = UserConnections(1)
    connections.add("al", "a", 0)
    assert connections.add("al", "b", 1) == "a"
    connections.touch("a", 2)
    assert connections.add("al", "c", 3) == "b"
    assert connections.of("al") == ("a", "b", "c")


def test_nothing_is_left_of_connections_that_went() -> None:
    connections = UserConnections(2)
    for number in range(1_000):
        connections.add(f"u{number % 7}", f"c{number}", number)
        connections.remove(f"c{number}")
        connections.touch(f"c{number}", number)
    connections.remove("never there")
    assert len(connections) == 0
    assert connections._heard_ns == {}


@pytest.mark.parametrize(
    "hop",
    [
        pytest.param("{}, 2.2.2.2", id="behind a client's address"),
        pytest.param("2.2.2.2%{}", id="as a zone"),
        pytest.param("{}", id="in an address's place"),
    ],
)
def test_what_clients_invent_about_their_way_takes_no_memory(hop: str) -> None:
    tracemalloc.start()
    try:
        for number in range(1_000):
            client_address("10.0.0.1", hop.format(f"{number:x>8000}"), PROXIES)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 1_000_000
