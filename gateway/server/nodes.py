"""``Nodes``: this node among those that share a log: presence, limits, and questions to all.

Twice a second, and as soon as it has joined, each node tells the others through the log how many
clients it has, which users connected and how many events of theirs count. Its own message coming
back shows that it hears.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from gateway import strict_json
from gateway.brokers.redis.broker import RedisBroker
from gateway.brokers.redis.log_state import LogAway, LogState, end_tasks, poll
from gateway.contract import ResyncReason
from gateway.nodes.entries import Entry, Route
from gateway.nodes.presence import Presence
from gateway.nodes.shared_events import SharedEvents
from gateway.server.clock import Clock
from gateway.server.log import get_logger

_BEAT_S: Final = 0.5
_KEEP_S: Final = 0.25
_TURN_S: Final = 5.0
_TOLD_A_RETENTION: Final = 3
_KEPT_A_RETENTION: Final = 4
_USERS_A_CALL: Final = 500
_ANSWER_S: Final = 1.0
_RESYNCS_A_TURN: Final = 200

log = get_logger(__name__)


class Host(Protocol):
    """What ``Nodes`` needs of its gateway."""

    clock: Clock

    def wants(self, route: Route) -> bool:
        """Return whether clients of this node get a market event."""

    def apply(self, entry: Entry) -> None:
        """Send a publication to the clients of this node."""

    def is_full(self) -> bool:
        """Return whether a lane has so much to send that no publication may follow."""

    def forget_slots(self, then: Callable[[], None]) -> None:
        """Forget the events that wait for a slot of ``maxRate``; call when the queues are sent."""

    def counts(self) -> tuple[int, int]:
        """Return the numbers of clients and of subscriptions."""

    def connections(self) -> Mapping[str, Mapping[str, int]]:
        """Return the connections of each user."""

    def close_silent(self, user_id: str) -> None:
        """Close the longest-silent connection of a user."""

    def resync(self, sids: Sequence[str], reason: ResyncReason) -> None:
        """Tell clients that they may lack events."""

    def sids(self) -> list[str]:
        """Return all clients."""

    def count_changed(self) -> None:
        """Tell the clients, with the next count, that it has changed."""

    def answer(self, what: str, facts: Mapping[str, Any]) -> Any:
        """Do what another node asks, and return the answer."""

    def revoked(self, user_id: str, text: str) -> None:
        """Take a revocation of before this node joined."""


class Nodes:
    """One node among others.

    Args:
        node: its id.
        broker: applies the log.
        host: the gateway.
        events: the events of users that count on all nodes.
        retention_s: how long a user may return, s.
        longest_token_s: how long a token may be accepted after it is issued, s.

    Attributes:
        presence: the other nodes.
        wants: see ``broker.Node``.
    """

    def __init__(
        self,
        node: str,
        broker: RedisBroker,
        host: Host,
        events: SharedEvents,
        *,
        retention_s: float,
        longest_token_s: float,
    ) -> None:
        self._longest_token_s = longest_token_s
        self.node = node
        self.presence = Presence(node)
        self._broker = broker
        self._host = host
        self.wants = host.wants
        self._retention_s = retention_s
        self._events = events
        self._telling = 0  # while clients are told to fetch anew, nothing is applied
        self._asked: dict[str, tuple[set[str], dict[str, Any], asyncio.Event]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._joined = asyncio.Event()
        self._epoch_begun = asyncio.Event()
        broker.node = self

    @property
    def is_ready(self) -> bool:
        """Whether this node hears itself through the log."""
        return self._broker.hears

    async def start(self, within_s: float) -> None:
        """Join the log, and begin to tell the others.

        Args:
            within_s: the longest wait for the log.
        """
        await self._broker.link.start(within_s)
        never = asyncio.Event()
        for seconds, work, sooner in (
            (_BEAT_S, self._beat, self._joined),
            (_KEEP_S, self._broker.keep_new, never),
            (self._retention_s / _KEPT_A_RETENTION, self._broker.keep, never),
            (self._retention_s / _TOLD_A_RETENTION, self._tell_users, self._epoch_begun),
            (min(_TURN_S, self._retention_s), self._broker.link.turn, never),
        ):
            repeated = self._repeat(max(_KEEP_S, seconds), work, sooner)
            self._tasks.append(asyncio.create_task(repeated))
        if self._broker.link.is_joined:
            await poll(lambda: self.is_ready, within_s)

    async def stop(self) -> None:
        """Tell the others that this node leaves, and leave."""
        await end_tasks(self._tasks)
        self._broker.link.post("bye", {"node": self.node})
        await self._broker.link.stop()

    async def _repeat(self, seconds: float, work: Callable[[], Any], sooner: asyncio.Event) -> None:
        """Call something until the node stops.

        Args:
            seconds: the pause between two calls.
            work: is called.
            sooner: ends the pause when it is set.
        """
        while True:
            sooner.clear()
            try:
                await work()
            except LogAway:
                pass  # the link says so, and joins again
            except Exception:  # one failing tick must not stop the later ones
                log.exception("tick of the nodes failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await sooner.wait()

    async def _beat(self) -> None:
        host, presence = self._host, self.presence
        now_ns = host.clock.monotonic_ns()
        for node in presence.sweep(now_ns):
            log.warning("a node is silent", silent=node)
        if presence.take_changed():
            host.count_changed()
        connections = host.connections()
        users = [*presence.shared(connections), *presence.departed(connections)]
        events = self._events.tell(users, now_ns)
        self._broker.link.post("beat", presence.beat(*host.counts(), connections, events))

    async def _tell_users(self) -> None:
        users = list(self._host.connections())
        for first in range(0, len(users), _USERS_A_CALL):
            self._broker.users_came(users[first : first + _USERS_A_CALL])
            await asyncio.sleep(_KEEP_S)

    def publication(self, entry: Entry, *, follows: bool) -> None:
        """Send a publication to the clients of this node; see ``broker.Node``."""
        if not follows and entry.route.user_id is not None:
            sids = list(self._host.connections().get(entry.route.user_id, ()))
            self._host.resync(sids, ResyncReason.NOT_HELD)
        self._host.apply(entry)

    def is_congested(self) -> bool:
        """Return whether no more may be applied now; see ``broker.Node``."""
        return bool(self._telling) or self._host.is_full()

    def joined(self, joined: LogState, *, has_lost: bool, is_new_epoch: bool) -> None:
        """Take over the state of the log; see ``broker.Node``.

        Args:
            joined: the state.
            has_lost: whether clients of this node may lack events.
            is_new_epoch: whether the epoch is another one.
        """
        for user_id, text in joined.revoked.items():
            self._host.revoked(user_id, text)
        self.presence.tell_all()
        self._joined.set()
        if is_new_epoch:
            self._epoch_begun.set()
        if not has_lost:
            return
        reason = ResyncReason.EPOCH if is_new_epoch else ResyncReason.NOT_HELD
        log.warning("clients are told to fetch anew", reason=reason, epoch=joined.epoch)
        self._telling += 1
        self._host.forget_slots(partial(self._resync_all, self._host.sids(), reason))

    def _resync_all(self, sids: list[str], reason: ResyncReason) -> None:
        rest = sids[_RESYNCS_A_TURN:]
        try:
            self._host.resync(sids[:_RESYNCS_A_TURN], reason)
        finally:  # a bug with one client must not keep the log from being applied
            if rest:
                asyncio.get_running_loop().call_soon(self._resync_all, rest, reason)
            else:
                self._telling -= 1

    def message(self, name: str, body: bytes) -> None:
        """Take a message of a node; see ``broker.Node``."""
        facts = strict_json.loads(body)
        take = {
            "beat": self._take_beat,
            "bye": self._take_bye,
            "ask": self._take_question,
            "answer": self._take_answer,
            "surplus": self._take_surplus,
        }.get(name)
        if take is not None:  # a newer version may send more
            take(facts)

    def _take_beat(self, facts: Mapping[str, Any]) -> None:
        if facts["node"] == self.node:
            self._broker.link.heard()
            return
        now_ns = self._host.clock.monotonic_ns()
        self.presence.hear(facts, now_ns)
        for user_id, events in facts["events"].items():
            self._events.hear(user_id, events, now_ns)

    def _take_bye(self, facts: Mapping[str, Any]) -> None:
        self.presence.forget(facts["node"])
        for waiting, _, done in self._asked.values():
            waiting.discard(facts["node"])
            if not waiting:
                done.set()

    def _take_surplus(self, facts: Mapping[str, Any]) -> None:
        if facts["node"] == self.node:
            self._host.close_silent(facts["user"])

    def fetch(self, user_id: str) -> Coroutine[None, None, None]:
        """Return what fetches the private events that a client may lack; ``returned`` follows."""
        self._broker.gather(user_id)
        return self._fetch(user_id)

    async def _fetch(self, user_id: str) -> None:
        try:
            await self._broker.fetch(user_id)
        except LogAway:
            log.warning("events for a returning client could not be fetched", user=user_id)

    async def revoke(self, user_id: str, issued_before: float) -> int:
        """Refuse a user's earlier tokens on all nodes, also on those that join later.

        Args:
            user_id: the user.
            issued_before: tokens with an earlier ``iat`` are refused, Unix s.

        Returns:
            How many connections were closed.

        Raises:
            LogAway: the log cannot be reached; nothing is revoked.
        """
        forget_at_s = max(self._host.clock.unix_s(), issued_before) + self._longest_token_s
        await self._broker.link.revoke(user_id, f"{issued_before!r} {forget_at_s:.0f}")
        asked = {"userId": user_id, "issuedBefore": issued_before}
        return sum((await self.ask("revoke", asked)).values())

    def returned(self, user_id: str) -> None:
        """Note that a client has got what it missed, or has left before."""
        self._broker.release(user_id)

    def user_came(self, user_id: str) -> None:
        """Note a new connection of a user."""
        self.presence.user_changed(user_id)
        self._broker.users_came((user_id,))

    def user_left(self, user_id: str) -> None:
        """Note that a connection of a user has ended. The retention begins now."""
        self.user_came(user_id)

    def surplus(self, user_id: str) -> None:
        """Ask the node with the most connections of a user to close one."""
        node = self.presence.fullest(user_id)
        if node is not None:
            self._broker.link.post("surplus", {"node": node, "user": user_id})

    async def ask(
        self, what: str, facts: Mapping[str, Any], of: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Ask nodes, this one included, and return the answers by node.

        Args:
            what: the question's name.
            facts: its facts, a JSON value.
            of: the nodes, all by default.

        Returns:
            The answers; a node that does not answer within a second is left out.

        Raises:
            LogAway: the log cannot be reached.
        """
        question = secrets.token_hex(8)
        waiting = set((self.node, *self.presence.nodes) if of is None else of)
        answers: dict[str, Any] = {}
        done = asyncio.Event()
        self._asked[question] = (waiting, answers, done)
        try:
            named = None if of is None else list(of)
            asked = {"id": question, "of": named, "what": what, "facts": facts}
            if not self._broker.link.is_joined:
                raise LogAway("the log is away")
            self._broker.link.post("ask", asked)
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await done.wait()
            except TimeoutError:
                log.warning("nodes did not answer", silent=sorted(waiting), asked=what)
        finally:
            del self._asked[question]
        return answers

    def _take_question(self, facts: Mapping[str, Any]) -> None:
        if facts["of"] is not None and self.node not in facts["of"]:
            return
        answer = self._host.answer(facts["what"], facts["facts"])
        self._broker.link.post("answer", {"id": facts["id"], "node": self.node, "answer": answer})

    def _take_answer(self, facts: Mapping[str, Any]) -> None:
        asked = self._asked.get(facts["id"])
        if asked is not None:
            waiting, answers, done = asked
            answers[facts["node"]] = facts["answer"]
            waiting.discard(facts["node"])
            if not waiting:
                done.set()
