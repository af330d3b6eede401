from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.plan.addresses import (
    MAX_ADDRESSES,
    USERS_PER_ADDRESS,
    is_loopback,
    source_address,
    users_by_address,
)

MOST_USERS = MAX_ADDRESSES * USERS_PER_ADDRESS


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("gateway.example", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_told_by_name_or_address(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("index", "address"),
    [
        (0, "127.1.0.1"),
        (49, "127.1.0.1"),
        (50, "127.1.0.2"),
        (50 * 253, "127.1.0.254"),
        (50 * 254, "127.1.1.1"),
        (50 * 254 * 256, "127.2.0.1"),
        (MOST_USERS - 1, "127.254.255.254"),
    ],
)
def test_fifty_users_share_an_address(index: int, address: str) -> None:
    assert source_address("127.0.0.1", index) == address


@given(st.integers(0, MOST_USERS - 1))
def test_every_address_is_loopback_and_none_is_the_servers(index: int) -> None:
    address = source_address("localhost", index)
    assert address is not None
    assert ipaddress.ip_address(address).is_loopback
    assert address != "127.0.0.1"
    assert not address.endswith((".0", ".255"))


@pytest.mark.parametrize("host", ["10.0.0.1", "gateway.example", "::1"])
def test_another_target_is_left_to_the_kernel(host: str) -> None:
    assert source_address(host, 70) is None
    assert users_by_address(host, 300) == 300


def test_the_busiest_address_carries_fifty() -> None:
    assert users_by_address("127.0.0.1", 300) == 50
    assert users_by_address("127.0.0.1", 7) == 7


@pytest.mark.parametrize("index", [-1, MOST_USERS])
def test_an_index_without_an_address_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=str(MOST_USERS - 1)):
        source_address("127.0.0.1", index)
