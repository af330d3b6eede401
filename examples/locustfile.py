"""Users of a Socket.IO gateway, in a Locust file of your own.

    locust -f examples/locustfile.py --headless -u 100 -r 50 -t 30s -H http://127.0.0.1:3000

A development gateway (``GATEWAY_ENV=development tidegate serve``) needs no token. For any other
gateway, put a token into ``TOKEN``.
"""

from __future__ import annotations

import os
from typing import Any

from gevent import sleep
from locust import between, task
from locust.exception import StopUser

from loadtests.connection.protocol.backoff import reconnect_delay_s
from loadtests.connection.protocol.handshake import parse_target
from loadtests.plan.addresses import is_loopback, source_address
from loadtests.user import ClientError, SocketIOUser

TOKEN = os.environ.get("TOKEN")
SYMBOLS = ["BTC/USDT", "ETH/USDT"]


class Watcher(SocketIOUser):
    """Listens to two symbols, lists its subscriptions from time to time, and reconnects."""

    wait_time = between(0.2, 0.6)

    errors = 0

    def source_address(self) -> str | None:
        """Return a separate address for each 50 users on loopback: gateways limit each address."""
        host = parse_target(str(self.host)).host
        return source_address(host, self.number) if is_loopback(host) else None

    def on_start(self) -> None:
        """Connect, and name the events to decode. All others are only timed."""
        self.on("error", self.count_error)
        self.connect_and_subscribe()

    @task
    def list_subscriptions(self) -> None:
        """List the subscriptions, after reconnecting where the connection was lost."""
        if self.ended.ready():
            self.connect_and_subscribe()
        self.call("get-subscriptions")

    def connect_and_subscribe(self) -> None:
        """Connect and subscribe, with the retries of socket.io-client."""
        for attempt in range(5):
            try:
                self.connect({"token": TOKEN} if TOKEN else None)
                self.call("subscribe", {"channel": "market-data", "symbols": SYMBOLS})
            except ClientError:
                sleep(reconnect_delay_s(attempt, 0.5))
            else:
                return
        raise StopUser

    def count_error(self, _stamp_ns: int, payload: dict[str, Any]) -> None:
        """Count an ``error`` event. This runs in gevent's hub: never block here."""
        type(self).errors += payload["code"] != "RATE_LIMIT_EXCEEDED"
