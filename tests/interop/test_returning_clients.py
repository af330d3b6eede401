"""Stock clients come back by themselves after a breach, and stay away after a kick.

The clients are ``socket.io-client`` 4.8 and python-socketio's. The gateway is in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
import socketio
from blackbox.node import NodeClient
from deadlines import DEADLINE_S, QUIET_S, poll_until

from gateway.errors import AuthenticationError
from gateway.server.app import Gateway
from gateway.settings import read_settings

SCRIPT = Path(__file__).resolve().parent / "client.mjs"
EXAMPLE = SCRIPT.parents[2] / "examples" / "returning_client.mjs"
SECRET = "a-secret-of-the-tests-own-that-is-long-enough"
SETTINGS = {
    "JWT_SECRET": SECRET,
    "CLIENT_URL": "http://localhost:5173",
    "HOST": "127.0.0.1",
    "PORT": "0",
    "GATEWAY_RATE_LIMIT": "1",
    "GATEWAY_MAX_REFUSED_EVENTS": "5",
    "GATEWAY_USER_RATE_LIMIT": "1000",
}
MODES: dict[str, dict[str, Any]] = {
    "websocket": {"transports": ["websocket"]},
    "polling": {"transports": ["polling"], "upgrade": False},
    "polling upgraded": {"transports": ["polling", "websocket"]},
}
LARGE = "x" * 270_000
Raw = Callable[[list[str]], Awaitable[object]]


@pytest.fixture
async def started() -> AsyncIterator[tuple[Gateway, str]]:
    gateway = Gateway(read_settings(SETTINGS, random_secret=SECRET))
    try:
        yield gateway, await gateway.start()
    finally:
        await gateway.stop()


def auth() -> dict[str, str]:
    claims = {"sub": "stock", "exp": int(time.time()) + 3_600}
    return {"token": jwt.encode(claims, SECRET, algorithm="HS256")}


def only_sid(gateway: Gateway) -> str:
    (session,) = gateway.context.sessions
    return session.sid


async def evict(gateway: Gateway) -> None:
    """Close the client as one that reads too slowly."""
    participant = gateway.transport.participants.find(only_sid(gateway))
    assert participant is not None
    gateway.transport.engine.evict(participant.session)


async def drain(gateway: Gateway) -> None:
    """Close the client as a drain does."""
    session = gateway.context.sessions.get(only_sid(gateway))
    assert session is not None
    gateway.connections.tell_draining(session)
    gateway.transport.close_transport(session.sid, "draining")


def breaches(gateway: Gateway, send_raw: Raw) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return what closes a client that may return."""
    return {
        "malformed packet": lambda: send_raw(["2["]),
        "binary event": lambda: send_raw(['51-["ping",{"_placeholder":true,"num":0}]']),
        "frame too large": lambda: send_raw([f'2["ping","{LARGE}"]']),
        "flood of events": lambda: send_raw(['2["get-subscriptions"]'] * 20),
        "fourth CONNECT": lambda: send_raw(["0{}"] * 4),
        "slow reader": lambda: evict(gateway),
        "drain": lambda: drain(gateway),
    }


@pytest.mark.real_part("node")
@pytest.mark.parametrize("mode", MODES.values(), ids=list(MODES))
async def test_node_s_client_returns_after_each_breach_and_not_after_a_kick(
    started: tuple[Gateway, str], mode: dict[str, Any]
) -> None:
    gateway, url = started
    node = NodeClient(SCRIPT)

    async def expect(kind: str) -> dict[str, Any]:
        return await asyncio.to_thread(node.expect, kind)

    async def send_raw(messages: list[str]) -> None:
        node.do("raw", messages=messages)

    try:
        node.do("connect", url=url, options=mode | {"auth": auth()})
        await expect("connect")
        for name, breach in breaches(gateway, send_raw).items():
            if len(mode["transports"]) > 1:
                await expect("upgrade")
            await breach()
            gone = await expect("disconnect")
            assert gone["active"] is True, f"away for good after {name}: {gone['reason']!r}"
            await expect("connect")
            await poll_until(lambda: len(gateway.context.sessions) == 1, f"back after {name}")
        gateway.connections.close(
            only_sid(gateway), AuthenticationError.expired(), reason="token expired"
        )
        gone = await expect("disconnect")
        assert gone == {"kind": "disconnect", "reason": "io server disconnect", "active": False}
    finally:
        await asyncio.to_thread(node.end)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example of a returning client, beside the stock client that it imports."""
    (tmp_path / "node_modules").symlink_to(SCRIPT.parent / "node_modules")
    return Path(shutil.copy(EXAMPLE, tmp_path))


@pytest.mark.real_part("node")
async def test_the_example_returns_with_what_it_knows(
    started: tuple[Gateway, str], example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, url = started
    monkeypatch.setenv("GATEWAY_URL", url)
    monkeypatch.setenv("TOKEN", auth()["token"])
    node = NodeClient(example)

    def note(count: int) -> None:
        for _ in range(count):
            gateway.send_to_user("stock", "note", {})

    async def expect(kind: str, **fields: Any) -> dict[str, Any]:
        return await asyncio.to_thread(node.expect, kind, **fields)

    async def expect_notes(first: int, last: int, *, replayed: bool) -> None:
        for number in range(first, last + 1):
            came = await expect("private")
            assert (came["userSeq"], came["replayed"]) == (number, replayed)

    try:
        note(3)
        await expect("welcome", userSeq=3)
        note(2)
        await expect_notes(4, 5, replayed=False)
        gateway.transport.close_transport(only_sid(gateway), "draining")
        note(3)
        await expect("welcome", userSeq=8)
        await expect_notes(6, 8, replayed=True)
        gateway.transport.close_transport(only_sid(gateway), "draining")
        note(300)
        told = await expect("resync")
        assert (told["reason"], told["userSeq"]) == ("not-held", 308)
        note(1)
        await expect_notes(309, 309, replayed=False)
    finally:
        await asyncio.to_thread(node.kill)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_python_s_client_returns_after_each_breach_and_not_after_a_kick(
    started: tuple[Gateway, str], transport: str
) -> None:
    gateway, url = started
    client = socketio.AsyncClient(reconnection_delay=0.05, randomization_factor=0)
    gone: list[str] = []
    client.on("disconnect", gone.append)

    async def send_raw(messages: list[str]) -> None:
        for message in messages:
            with contextlib.suppress(Exception):  # closed meanwhile
                await client.eio.send(message)

    await client.connect(url, auth=auth(), transports=[transport])
    try:
        for name, breach in breaches(gateway, send_raw).items():
            await breach()
            await poll_until(lambda: gone, f"closed after {name}")
            await poll_until(
                lambda: client.connected and len(gateway.context.sessions) == 1,
                f"back after {name}, closed by {gone!r}",
                2 * DEADLINE_S,
            )
            gone.clear()
        gateway.transport.kick(only_sid(gateway))
        await poll_until(lambda: not client.connected, "kicked")
        await asyncio.sleep(QUIET_S)  # several times its delay before a reconnection
        assert not client.connected
        assert len(gateway.context.sessions) == 0
    finally:
        await client.shutdown()
