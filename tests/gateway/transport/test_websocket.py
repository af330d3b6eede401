"""``WebSocket`` as the protocol of a socket that something else wrote to before."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from gateway.transport.websocket import WebSocket


@pytest.mark.parametrize("unsent_bytes", [0, 5_000])
def test_a_socket_that_still_has_unsent_bytes_is_blocked(unsent_bytes: int) -> None:
    transport = mock.create_autospec(asyncio.Transport, instance=True)
    transport.get_write_buffer_size.return_value = unsent_bytes
    socket = WebSocket()
    socket.adopt(transport)
    # Only the former protocol was told that the kernel takes no more.
    assert socket._is_blocked == bool(unsent_bytes)
    assert not socket.is_clear
