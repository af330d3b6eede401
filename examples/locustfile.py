"""Users of a Socket.IO gateway, in a Locust file of your own.

    locust -f examples/locustfile.py --headless -u 100 -r 50 -t 30s -H http://127.0.0.1:3000

A gateway in development (``GATEWAY_ENV=development tidegate serve``) asks for no token;
for any other give one in ``TOKEN``.
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
    """Listens to two symbols, asks for its subscriptions now and then, and comes back."""

    wait_time = between(0.2, 0.6)

    complaints = 0

    def source_address(self) -> str | None:
        """Come from an address of one's own on loopback: gateways count by address."""
        host = parse_target(str(self.host)).host
        return source_address(host, self.number) if is_loopback(host) else None

    def on_start(self) -> None:
        """Connect, and say whose events to look into: all others are timed and not decoded."""
        self.on("error", self.complain)
        self.come_on()

    @task
    def look(self) -> None:
        """Ask something; a lost connection is told in Locust's table, and taken up again."""
        if self.ended.ready():
            self.come_on()
        self.call("get-subscriptions")

    def come_on(self) -> None:
        """Connect and subscribe; try again as socket.io-client does."""
        for attempt in range(5):
            try:
                self.connect({"token": TOKEN} if TOKEN else None)
                self.call("subscribe", {"channel": "market-data", "symbols": SYMBOLS})
            except ClientError:
                sleep(reconnect_delay_s(attempt, 0.5))
            else:
                return
        raise StopUser

    def complain(self, _stamp_ns: int, payload: dict[str, Any]) -> None:
        """Take an ``error`` event, in the hub: count, append or set, and never block."""
        type(self).complaints += payload["code"] != "RATE_LIMIT_EXCEEDED"
