"""Ports for servers of this host."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from loadtests import endpoints
from loadtests.endpoints import unused_port


def test_an_unused_port_can_be_bound_and_no_client_is_given_it() -> None:
    with socket.create_server(("127.0.0.1", unused_port())) as server:
        assert server.getsockname()[1] < int(endpoints._EPHEMERAL.read_text().split()[0])


def test_a_port_that_is_taken_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", unused_port())) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(endpoints, "_LOWEST_PORT", port)
        monkeypatch.setattr(endpoints, "_PORT_ATTEMPTS", 1)
        monkeypatch.setattr(endpoints, "_EPHEMERAL", tmp_path / "range")
        (tmp_path / "range").write_text(f"{port + 1}\t60999\n")
        with pytest.raises(OSError, match="none of 1 loopback ports"):
            unused_port()
