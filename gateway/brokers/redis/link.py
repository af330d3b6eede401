"""``LogLink``: this node's connections to the log in Redis: joins, reads, appends, and comes back.

One task reads the log in order. Another appends what waits in one call of a Lua script; what
waits meanwhile goes with the next call. After a cut the node joins again, and goes on after the
last entry that it has applied. A call whose answer was lost is made again under the same number,
which the script knows: nothing is appended twice.

Attempts to join begin at least 0.05 s apart, then 0.1 s, up to 0.8 s. One that gets no first
answer ends after 1.2 s, and the next one follows: so a node joins soon after Redis is back,
whether Redis refused connections or swallowed them.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.exceptions import RedisError, ResponseError

from gateway.brokers.redis.appends import Appends
from gateway.brokers.redis.connecting import CONNECT_S, connect, describe_failure
from gateway.brokers.redis.log_state import (
    EntriesMissing,
    LogAway,
    LogState,
    Reader,
    end_tasks,
    poll,
)
from gateway.brokers.redis.scripts import CALL_S, LogScripts
from gateway.brokers.redis.terms import LogTerms
from gateway.contract import MAX_REPLAY_BYTES, MAX_REPLAY_EVENTS, PUBLISH_ID_SECONDS
from gateway.nodes.entries import FORMAT, Draft, message_of
from gateway.server.log import get_logger

_ENTRIES_A_READ: Final = 256
_BLOCK_MS: Final = 500
_MOST_FETCHES: Final = 8  # at once; each has a connection
_GREETING_S: Final = 1.2  # longest wait for a new connection's first answer
_FIRST_PAUSE_S: Final = 0.05  # from one attempt to join to the next
_LONGEST_PAUSE_S: Final = 0.8
_WATCH_S: Final = 0.1
_SILENCE_S: Final = 4.0  # without a message of its own, the connections are made anew
_TOLD_S: Final = 30.0  # until the same trouble is logged again

log = get_logger(__name__)


class LogLink:
    """The connections of one node.

    Args:
        terms: where the log is, and how much it keeps.
        reader: applies the entries.
        now_s: returns the monotonic clock, s.

    Attributes:
        is_joined: whether the node reads and may append.
        is_heard: whether a message of this node has come through the log since it joined.
    """

    def __init__(self, terms: LogTerms, reader: Reader, now_s: Callable[[], float]) -> None:
        self._terms = terms
        self._reader = reader
        self._now_s = now_s
        self.is_joined = False
        self.is_heard = False
        self._epoch = ""
        self._last_id = b""
        self._token = secrets.token_hex(4)  # a node that starts anew numbers its calls anew
        self._heard_s = now_s()
        self._appends = Appends(now_s)
        self._has_read = asyncio.Event()
        self._fetches = asyncio.Semaphore(_MOST_FETCHES)
        self._task: asyncio.Task[None] | None = None
        self._told = ""
        self._told_s = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._redis = connect(terms)
        self._scripts = LogScripts(self._redis)

    def _key(self, name: str) -> str:
        return f"{self._terms.prefix}{name}"

    def _keys(self, *names: str) -> list[str]:
        return [self._key(name) for name in names]

    async def start(self, within_s: float) -> None:
        """Begin to join, and wait until the node has joined, or for so long.

        Args:
            within_s: the longest wait. The link goes on trying afterwards.
        """
        joined = asyncio.Event()
        self._task = asyncio.create_task(self._run(joined), name="log")
        try:
            async with asyncio.timeout(within_s):
                await joined.wait()
        except TimeoutError:
            log.warning("started without the log; not ready until it answers", reason=self._told)

    async def stop(self) -> None:
        """Let what waits be appended for a moment, and close the connections."""
        await poll(lambda: self._appends.is_empty or not self.is_joined, CONNECT_S)
        if self._task is not None:
            await end_tasks([self._task])
        self._appends.end("the gateway stops")

    def heard(self) -> None:
        """Note that a message of this node has come through the log."""
        self._heard_s = self._now_s()
        if not self.is_heard:
            self.is_heard, self._told, self._pause_s = True, "", _FIRST_PAUSE_S
            log.info("hears the log", epoch=self._epoch, number=self._reader.number)

    def silent_s(self) -> float:
        """Return for how long nothing of this node has come through the log, s."""
        return self._now_s() - self._heard_s

    def append(self, drafts: Sequence[Draft]) -> asyncio.Future[list[bytes]]:
        """Append publications, all or none, and return the future of their answers.

        Args:
            drafts: the publications.

        Returns:
            ``b"seq userSeq ts stream"`` for each. It fails with ``LogAway``.

        Raises:
            LogAway: the log cannot be reached, or too much waits for it.
        """
        if not self.is_joined:
            raise LogAway(self._told or "not joined yet")
        return self._appends.add(drafts)

    def post(self, name: str, facts: Any) -> None:
        """Send a message to all nodes, this one included, if the log can be reached.

        Args:
            name: its name.
            facts: its body, a JSON value.
        """
        self.note([message_of(name, facts)])

    def note(self, drafts: Sequence[Draft]) -> None:
        """Append without waiting for the answer: what is lost is told again later.

        Args:
            drafts: messages and arrivals of users.
        """
        with contextlib.suppress(LogAway):
            self.append(drafts).add_done_callback(_retrieve)

    async def missed(self, user_id: str) -> tuple[int, list[bytes]]:
        """Return the number of the last entry, and a user's private events that are kept.

        Args:
            user_id: the user.

        Raises:
            LogAway: the log cannot be reached.
        """
        async with self._fetches:
            answer = await self._scripts.ask("missed", self._keys("meta", f"private:{user_id}"), [])
        return int(answer[0]), answer[1]

    async def applied(self, number: int) -> None:
        """Wait until this node has applied an entry.

        Args:
            number: the number of the entry.

        Raises:
            LogAway: it does not come.
        """
        try:
            async with asyncio.timeout(CALL_S):
                while self._reader.number < number:
                    await self._has_read.wait()
        except TimeoutError:
            raise LogAway("the node is behind the log") from None

    async def keep(self, streams: Sequence[str]) -> None:
        """Keep streams alive, and tell all nodes.

        Args:
            streams: their ids.

        Raises:
            LogAway: the log cannot be reached.
        """
        arguments = [self._epoch, self._terms.most_entries, message_of("keep", None).header]
        keys = self._keys("log", "young", "old", "meta")
        await self._scripts.ask("keep", keys, [*arguments, *streams])

    async def turn(self) -> None:
        """Forget silent streams once a retention, and trim the log by age.

        Raises:
            LogAway: the log cannot be reached.
        """
        terms = self._terms
        arguments = [self._epoch, max(1, terms.retention_ms // 1_000), terms.most_streams]
        arguments += [terms.log_ms, message_of("turn", None).header]
        keys = self._keys("log", "young", "old", "meta", "values", "revoked")
        await self._scripts.ask("turn", keys, arguments)

    async def revoke(self, user_id: str, text: str) -> None:
        """Keep a revocation for nodes that join later.

        Args:
            user_id: the user.
            text: the moment, and when to forget it, Unix s.

        Raises:
            LogAway: the log cannot be reached.
        """
        try:
            async with asyncio.timeout(CALL_S):
                await self._redis.hset(self._key("revoked"), user_id, text)
        except (RedisError, OSError, TimeoutError) as error:
            raise LogAway(describe_failure(error)) from None

    async def _run(self, joined: asyncio.Event) -> None:
        try:
            while True:
                began_s = self._now_s()
                try:
                    await self._join()
                    joined.set()
                    await self._serve()
                except EntriesMissing as error:
                    self._last_id = b""  # nothing to go on from
                    self._leave(str(error))
                except (RedisError, OSError, TimeoutError) as error:
                    self._leave(describe_failure(error))
                with contextlib.suppress(RedisError, OSError):  # a peer that takes no bytes
                    await self._redis.connection_pool.disconnect()
                self._fail_expired()
                next_s = began_s + self._pause_s - self._now_s()
                await asyncio.sleep(max(_FIRST_PAUSE_S, next_s))
                self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        finally:
            self.is_joined = False
            await self._redis.aclose()

    def _leave(self, reason: str) -> None:
        now_s = self._now_s()
        if reason != self._told or now_s > self._told_s + _TOLD_S:
            log.warning("the log is away", reason=reason)
            self._told, self._told_s = reason, now_s
        self.is_joined = self.is_heard = False

    async def _join(self) -> None:
        keys = self._keys("log", "young", "old", "meta", "values", "revoked")
        is_known = bool(self._last_id)
        arguments = [
            secrets.token_hex(8),
            secrets.token_hex(16),
            self._epoch,
            self._last_id,
            self._reader.number if is_known else "",
            FORMAT,
        ]
        async with asyncio.timeout(_GREETING_S):  # the state of a large log may take longer
            await self._redis.connection_pool.release(await self._connection())
        answer = await self._scripts.call("join", keys, arguments)
        epoch, floor, number, last_id, key, goes_on = answer[:6]
        young, old, values, revoked = map(_pairs, answer[6:] if not goes_on else [[]] * 4)
        self._epoch = epoch.decode()
        if not goes_on:
            self._last_id = last_id
            self._appends.applied(math.inf)  # it was appended, and numbers begin anew
        self._reader.joined(
            LogState(
                self._epoch,
                int(floor),
                int(number),
                key,
                bool(goes_on),
                {stream.decode(): int(last) for stream, last in young.items()},
                {stream.decode(): int(last) for stream, last in old.items()},
                {stream.decode(): record for stream, record in values.items()},
                {user.decode(): text.decode() for user, text in revoked.items()},
            )
        )
        self.is_joined = True
        self._heard_s = self._now_s()

    async def _connection(self) -> Any:
        """Return a connection that Redis has answered; the pool gets it back."""
        pool = self._redis.connection_pool
        return await pool.get_connection()  # type: ignore[no-untyped-call]  # as it is

    async def _serve(self) -> None:
        """Read and append until one of the two fails."""
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("log reader", self._read()),
                ("log writer", self._write()),
                ("log watch", self._watch()),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end_tasks(tasks)
        for task in done:
            task.result()

    async def _read(self) -> None:
        """Read on a connection of its own: the client around it would double the cost of a call."""
        read_id = self._last_id
        words = ("XREAD", "COUNT", _ENTRIES_A_READ, "BLOCK", _BLOCK_MS, "STREAMS", self._key("log"))
        async with asyncio.timeout(CALL_S):
            connection = await self._connection()
        try:
            while True:  # ``_watch`` ends a wait for an answer that does not come
                if self._reader.is_congested():
                    await poll(lambda: not self._reader.is_congested(), math.inf)
                await connection.send_command(*words, read_id)
                answer = await connection.read_response()
                if answer:
                    read_id = self._apply(answer[0][1])
        finally:
            await self._redis.connection_pool.release(connection)

    def _apply(self, entries: Sequence[tuple[bytes, Sequence[bytes]]]) -> bytes:
        """Apply entries that were read; return the id of the last one."""
        for entry_id, fields in entries:
            if self._reader.apply(fields):
                self._last_id = entry_id
        self._appends.applied(self._reader.number)
        self._has_read.set()
        self._has_read.clear()  # those who waited are awake, and look
        return entry_id

    async def _write(self) -> None:
        keys = self._keys("log", "young", "old", "meta", "values", f"batch:{self._terms.node}")
        terms = self._terms
        fixed = [terms.most_entries, round(PUBLISH_ID_SECONDS), MAX_REPLAY_EVENTS, MAX_REPLAY_BYTES]
        while True:
            drafts = await self._appends.next_call()
            call = f"{self._epoch}:{self._token}:{self._appends.number}"
            arguments: list[Any] = [self._epoch, call, *fixed, terms.prefix, terms.retention_ms]
            for draft in drafts:
                arguments += _arguments(draft)
            try:
                answers = await self._scripts.call("append", keys, arguments)
            except ResponseError as error:
                if not str(error).startswith("EPOCH"):  # then the new log gets them
                    self._appends.refused(describe_failure(error))
                raise  # the node joins again
            self._appends.appended(int(answers.pop()), answers)
            self._appends.applied(self._reader.number)

    async def _watch(self) -> None:
        while self.silent_s() < _SILENCE_S:
            await asyncio.sleep(_WATCH_S)
            self._fail_expired()
        raise TimeoutError("nothing comes through the log")

    def _fail_expired(self) -> None:
        self._appends.expire(self._told or "the log does not answer")


def _arguments(draft: Draft) -> list[Any]:
    return [
        draft.stream,
        draft.user_id,
        draft.id,
        "v" if draft.is_value else "",
        draft.ts_us,
        draft.header,
        draft.tail,
        len(draft.bodies),
        *draft.bodies,
    ]


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _retrieve(answer: asyncio.Future[list[bytes]]) -> None:
    if not answer.cancelled():
        answer.exception()  # a message may be lost: the next one follows
