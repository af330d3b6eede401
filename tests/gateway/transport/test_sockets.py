"""What a listener is told once holds for every socket that it accepts."""

from __future__ import annotations

import socket

from gateway.transport import bound_accepted

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
