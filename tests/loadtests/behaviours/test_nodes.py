"""Users of several nodes: where they connect, and where they go when their node refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from blackbox.process import GatewayProcess
from living import Kept, Living, wait_until

from loadtests.behaviours.run_context import RunContext
from loadtests.behaviours.subscriber import Subscriber
from loadtests.results import Event

NOBODY = "http://127.0.0.1:1"


class _Busy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Retry-After", "60")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def busy() -> Iterator[str]:
    """A node that takes no clients."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Busy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def context(make_context: Callable[[str], RunContext]) -> RunContext:
    return make_context("[users.subscriber]\ncount = 3\nsymbols = 1\n")


def test_users_are_dealt_over_the_nodes_by_their_places(
    context: RunContext,
    perform: Callable[[RunContext], Living],
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    gateway = start_gateway()
    context.urls = (gateway.url, gateway.url.replace("127.0.0.1", "localhost"))
    live = perform(context)
    users = [live(Subscriber, gateway) for _ in range(3)]
    wait_until(lambda: all(user.is_on for user in users))
    assert [user.host for user in users] == [*context.urls, context.urls[0]]
    assert list(context.nodes_of_users) == [0, 1, 0]


def test_a_user_goes_to_the_next_node_when_its_own_takes_none(
    context: RunContext,
    recorder: Kept,
    busy: str,
    perform: Callable[[RunContext], Living],
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    gateway = start_gateway()
    context.urls = (busy, gateway.url)
    user = perform(context)(Subscriber, gateway)
    wait_until(lambda: user.is_on)
    assert (user.node, list(context.nodes_of_users)) == (1, [1])
    assert recorder.outcomes(Event.REFUSE) == ["HTTP 503"]
    assert recorder.counted.get("errors", 0) == 0, "another node made up for it"


def test_a_node_that_is_not_there_is_an_error_and_the_next_is_tried_at_once(
    context: RunContext,
    recorder: Kept,
    perform: Callable[[RunContext], Living],
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    gateway = start_gateway()
    context.urls = (NOBODY, NOBODY, gateway.url)
    user = perform(context)(Subscriber, gateway)
    wait_until(lambda: user.is_on)
    assert user.node == 2
    assert recorder.counted["errors"] == 2
