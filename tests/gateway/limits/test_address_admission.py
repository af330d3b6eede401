from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.limits.address_admission import AddressAdmission
from gateway.settings import Settings

S = 1_000_000_000
MakeSettings = Callable[..., Settings]


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
    assert refusal.limit == "connections_per_address"
    assert refusal.retry_after_s > 0
    door.release("1.2.3.4")
    assert door.admit("1.2.3.4", 0) is None, "the refused one was charged to the minute"


def test_a_session_over_the_minute_is_told_when_to_come_back(door: AddressAdmission) -> None:
    for second in range(3):
        assert door.admit("1.2.3.4", second * S) is None
        door.release("1.2.3.4")
    refusal = door.admit("1.2.3.4", 3 * S)
    assert refusal is not None
    assert (refusal.limit, refusal.retry_after_s) == ("connects_per_minute", 57.0)
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
