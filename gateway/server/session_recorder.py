"""``record_session``: writes the market events that a client of a running gateway gets to a file.

The file is that of ``GATEWAY_MARKET=replay``. It holds what the gateway delivers, so after its
throttling. Snapshots begin it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from gateway.contract import MAX_SYMBOLS_PER_CALL, Channel, ClientEvent, ServerEvent
from gateway.errors import SourceFailed
from gateway.sources.feeds.session_file import SessionWriter, is_replayable
from gateway.sources.market.events import is_market_event, record_of
from gateway.values import MOST_MARKET_SYMBOLS

_PATH: Final = "/socket.io/?EIO=4&transport=websocket"
_CONNECT_S: Final = 10.0
_LEAVE_S: Final = 2.0
_MOST_BYTES: Final = 16 << 20
_NS_PER_US: Final = 1_000


@dataclass(slots=True)
class RecordedSession:
    """What a recording came to.

    Attributes:
        records: how many it holds.
        symbols: their symbols.
        skipped: events that no replay can publish: stale, of another shape, a symbol too many.
        conflated: events that the gateway replaced by newer ones, because this client was slow.
        ended: why it ended before its time; empty for one that did not.
    """

    records: int = 0
    symbols: set[str] = field(default_factory=set)
    skipped: int = 0
    conflated: int = 0
    ended: str = ""


async def record_session(
    url: str,
    token: str | None,
    symbols: Sequence[str],
    path: Path,
    seconds: float,
    stop: asyncio.Event,
) -> RecordedSession:
    """Record for some time; the file is complete afterwards.

    Args:
        url: of the gateway.
        token: of a user who may subscribe; ``None`` for a gateway in development.
        symbols: the symbols; empty for the whole of ``market-data``, which has no snapshots.
        path: the file, which must not exist. One without a record is removed.
        seconds: how long, from the subscription.
        stop: ends the recording before.

    Raises:
        SourceFailed: the file cannot be made, or the gateway cannot be reached or refuses.
    """
    writer = SessionWriter(path)
    recording = _Recording(writer)
    try:
        async with aiohttp.ClientSession() as session:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    socket = await session.ws_connect(
                        url.rstrip("/") + _PATH, max_msg_size=_MOST_BYTES
                    )
                    await _enter(socket, token, symbols, recording)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why = str(error) or f"no answer within {_CONNECT_S:g} s"
                raise SourceFailed(f"{url}: {why}") from None
            following = asyncio.create_task(_follow(socket, recording))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait(
                (following, stopping), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            for task in (following, stopping):
                task.cancel()
            await asyncio.gather(following, stopping, return_exceptions=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(socket.close(), _LEAVE_S)
    finally:
        await asyncio.to_thread(writer.close)
        if not recording.session.records:
            await asyncio.to_thread(path.unlink)
    if writer.failure is not None:
        recording.session.ended = f"{path} is not whole: {writer.failure}"
    return recording.session


async def _enter(
    socket: aiohttp.ClientWebSocketResponse,
    token: str | None,
    symbols: Sequence[str],
    recording: _Recording,
) -> None:
    """Connect and subscribe.

    Raises:
        SourceFailed: the gateway refuses.
    """
    auth = "" if token is None else json.dumps({"token": token})
    calls = [
        {"channel": Channel.MARKET_DATA, "symbols": list(symbols[at : at + MAX_SYMBOLS_PER_CALL])}
        for at in range(0, len(symbols), MAX_SYMBOLS_PER_CALL)
    ] or [{"channel": Channel.MARKET_DATA}]
    await socket.send_str(f"40{auth}")
    for number, call in enumerate(calls):
        await socket.send_str(f"42{number}{json.dumps([ClientEvent.SUBSCRIBE, call])}")
    answered = 0
    while answered < len(calls):
        packet = await _next(socket)
        if packet is None:
            raise SourceFailed(f"the gateway ended the connection {recording.reason}")
        if packet.startswith("44"):
            raise SourceFailed(f"the gateway refuses: {json.loads(packet[2:]).get('message')}")
        if packet.startswith("43"):
            answer = json.loads(packet[packet.index("[") :])[0]
            if "error" in answer:
                raise SourceFailed(f"the gateway refuses: {answer['error']['message']}")
            answered += 1
        recording.take(packet)


async def _follow(socket: aiohttp.ClientWebSocketResponse, recording: _Recording) -> None:
    while (packet := await _next(socket)) is not None:
        recording.take(packet)
    recording.session.ended = recording.reason or "the gateway ended the connection"


async def _next(socket: aiohttp.ClientWebSocketResponse) -> str | None:
    """Return the next packet but pings, which it answers; ``None`` at the end."""
    while True:
        message = await socket.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        if message.data != "2":
            return str(message.data)
        await socket.send_str("3")


class _Recording:
    """Writes the events of a connection.

    Args:
        writer: writes the file.

    Attributes:
        session: what it came to.
        reason: what the gateway said last about the end of the connection.
    """

    def __init__(self, writer: SessionWriter) -> None:
        self.session = RecordedSession()
        self.reason = ""
        self._writer = writer
        self._began_ns = time.monotonic_ns()
        self._last: dict[tuple[str, str], int] = {}

    def take(self, packet: str) -> None:
        """Take a packet; other packets than events of the market are ignored."""
        if not packet.startswith("42"):
            return
        name, *arguments = json.loads(packet[2:])
        for payload in arguments:
            if name in (ServerEvent.ERROR, ServerEvent.SERVER_DRAINING):
                self.reason = str(payload.get("message", name))
            else:
                self._take_event(name, payload)

    def _take_event(self, name: str, payload: dict[str, Any]) -> None:
        if not is_market_event(name):
            return
        session = self.session
        try:
            record = record_of(name, payload)
            symbol, number = record.symbol, int(payload["seq"])
        except (KeyError, TypeError, ValueError):
            session.skipped += 1
            return
        last = self._last.get((name, symbol), number - 1)
        self._last[name, symbol] = number
        session.conflated += max(0, number - last - 1)
        is_one_more = symbol not in session.symbols and len(session.symbols) >= MOST_MARKET_SYMBOLS
        if record.is_stale or is_one_more or not is_replayable(record):
            session.skipped += 1
            return
        session.symbols.add(symbol)
        session.records += 1
        at_us = (time.monotonic_ns() - self._began_ns) // _NS_PER_US
        self._writer.add(at_us, [record])
