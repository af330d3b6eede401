"""What a listener is told once holds for every socket that it accepts."""

from __future__ import annotations

import errno
import socket

import pytest

from gateway.transport import bound_accepted, listen
from gateway.transport.sockets import is_wildcard

TCP_NOTSENT_LOWAT = 25  # Linux, <netinet/tcp.h>


def test_an_accepted_socket_inherits_the_bound_of_its_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert bound_accepted(listener)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                bound = accepted.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT)
    assert bound == 16_384


def test_a_listener_that_is_not_tcp_says_so() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        assert not bound_accepted(listener)


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("0:0:0:0:0:0:0:0", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
    ],
)
def test_a_wildcard_of_either_family_is_known(host: str, wanted: bool) -> None:
    assert is_wildcard(host) is wanted


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
@pytest.mark.parametrize("lack", ["no dual stack", "no IPv6 address"])
def test_a_wildcard_listens_on_ipv4_where_there_is_no_ipv6(
    host: str, lack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = socket.create_server

    def refuse(address: tuple[str, int], *, family: int, **options: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return create(address, family=family, **options)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: lack != "no dual stack")
    monkeypatch.setattr(socket, "create_server", refuse)
    with listen(host, 0) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_port_that_another_wildcard_has_is_in_use(host: str) -> None:
    with listen(host, 0) as first, pytest.raises(OSError, match="in use"):
        listen(host, first.getsockname()[1])
