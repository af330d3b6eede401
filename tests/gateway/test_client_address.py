from __future__ import annotations

import tracemalloc
from ipaddress import ip_network

import pytest

from gateway.client_address import client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


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
