"""A gateway inside the test's process, with a clock that the test controls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import jwt
import pytest
from deadlines import DEADLINE_S
from manual_clock import ManualClock

from gateway.server.app import Gateway
from gateway.settings import read_settings

SECRET = "a-secret-of-the-tests-own-that-is-long-enough"


class Client:
    """A Socket.IO client over aiohttp's WebSocket, for tests that share a loop with the gateway."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[tuple[str, Any]] = []
        self.welcome: dict[str, Any] = {}

    async def read(self) -> str:
        """Return the next Engine.IO packet; a ping is answered and returned too."""
        message = await self.socket.receive(DEADLINE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        packet: str = message.data
        if packet == "2":
            await self.socket.send_str("3")
        if packet.startswith("42"):
            name, *arguments = json.loads(packet[2:])
            self.events.append((name, arguments[0] if arguments else None))
        return packet

    async def expect(self, event: str) -> Any:
        """Return the payload of the next event of that name."""
        while True:
            for position, (name, payload) in enumerate(self.events):
                if name == event:
                    del self.events[position]
                    return payload
            await self.read()

    async def emit(self, event: str, payload: object = None) -> None:
        """Send an event."""
        await self.socket.send_str("42" + json.dumps([event, payload]))


class Place:
    """A started gateway, its clock and its address."""

    def __init__(self, gateway: Gateway, clock: ManualClock, url: str) -> None:
        self.gateway = gateway
        self.clock = clock
        self.url = url
        self._session = aiohttp.ClientSession()

    def token(self, user_id: str, **claims: object) -> str:
        """Return a token that is valid for an hour of the test's clock."""
        payload = {"sub": user_id, "exp": int(self.clock.unix_s()) + 3_600, **claims}
        return jwt.encode(payload, SECRET, algorithm="HS256")

    async def connect(
        self, user_id: str, *, said: Mapping[str, Any] | None = None, **claims: object
    ) -> Client:
        """Connect a client and wait for its welcome.

        Args:
            user_id: its user.
            said: what it says in ``auth`` beside the token.
            **claims: claims of its token.
        """
        socket = await self._session.ws_connect(
            f"{self.url}/socket.io/?EIO=4&transport=websocket", compress=0
        )
        client = Client(socket)
        assert (await client.read()).startswith("0{")
        auth = {"token": self.token(user_id, **claims), **(said or {})}
        await socket.send_str("40" + json.dumps(auth))
        assert (await client.read()).startswith("40{")
        client.welcome = await client.expect("connected")
        return client

    async def until(self, claim: Callable[[], bool]) -> None:
        """Wait until a claim holds, checking it in each iteration of the loop."""
        async with asyncio.timeout(DEADLINE_S):
            while not claim():  # noqa: ASYNC110 - the claim is about state that sets no event
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Stop the gateway and its clients."""
        await self._session.close()
        await self.gateway.stop()


StartPlace = Callable[..., Awaitable[Place]]


@pytest.fixture
async def start_place() -> AsyncIterator[StartPlace]:
    """Start gateways with the test's settings; they are stopped after the test."""
    started: list[Place] = []

    async def start(settings: Mapping[str, str] | None = None) -> Place:
        environ = {
            "GATEWAY_ENV": "production",
            "CLIENT_URL": "http://localhost:5173",
            "JWT_SECRET": SECRET,
            "HOST": "127.0.0.1",
            "PORT": "0",
            **(settings or {}),
        }
        clock = ManualClock()
        gateway = Gateway(read_settings(environ, random_secret=SECRET), clock)
        started.append(Place(gateway, clock, await gateway.start()))
        return started[-1]

    yield start
    for place in started:
        await place.close()
