"""Streams: numbers every publication; each stream counts from 1 without a gap."""

from __future__ import annotations

from gateway.channels import SubscriptionRequest, streams_of
from gateway.contract import USER_RETENTION_SECONDS, user_stream

_RETENTION_NS = round(USER_RETENTION_SECONDS * 1e9)


class Streams:
    """The last number of every stream, of rooms and of users.

    A user's counter is kept while the user is connected. After the last connection or the last
    publication, whichever is later, it is kept for the retention.

    Args:
        epoch: random for each process. Numbers compare only within an epoch.
        retention_ns: how long an idle user's counter is kept, ns.
    """

    def __init__(self, epoch: str, retention_ns: int = _RETENTION_NS) -> None:
        self.epoch = epoch
        self._retention_ns = retention_ns
        self._last: dict[str, int] = {}
        self._last_user: dict[str, int] = {}
        self._holders: dict[str, int] = {}
        self._idle_since_ns: dict[str, int] = {}  # longest idle first

    def next(self, stream: str) -> int:
        """Return a stream's next number, which is given from then on."""
        number = self._last.get(stream, 0) + 1
        self._last[stream] = number
        return number

    def last(self, stream: str) -> int:
        """Return a stream's last number, 0 when it has none."""
        return self._last.get(stream, 0)

    def next_user(self, user_id: str, now_ns: int) -> int:
        """Return the next number of a user's stream, whether the user is connected or not.

        Args:
            user_id: the user.
            now_ns: now, ns; the retention of an idle user starts here.
        """
        number = self._last_user.get(user_id, 0) + 1
        self._last_user[user_id] = number
        if user_id not in self._holders:
            self._idle(user_id, now_ns)
        return number

    def last_user(self, user_id: str) -> int:
        """Return the last number of a user's stream, 0 when it has none."""
        return self._last_user.get(user_id, 0)

    def hold(self, user_id: str) -> None:
        """Keep a user's counter for one more connection, which must ``release`` it."""
        self._idle_since_ns.pop(user_id, None)
        self._holders[user_id] = self._holders.get(user_id, 0) + 1

    def release(self, user_id: str, now_ns: int) -> None:
        """Stop keeping a user's counter for one connection, which has ended.

        Raises:
            KeyError: the user holds no connection.
        """
        self._holders[user_id] -= 1
        if self._holders[user_id] == 0:
            del self._holders[user_id]
            if user_id in self._last_user:
                self._idle(user_id, now_ns)

    def sweep(self, now_ns: int) -> None:
        """Forget the counters of users whose retention has passed."""
        while self._idle_since_ns:
            user_id, since_ns = next(iter(self._idle_since_ns.items()))
            if since_ns + self._retention_ns > now_ns:
                return
            del self._idle_since_ns[user_id], self._last_user[user_id]

    def user_count(self) -> int:
        """Return how many users have a counter or hold one."""
        return len(self._last_user.keys() | self._holders.keys())

    def marks(self, request: SubscriptionRequest) -> dict[str, int]:
        """Return ``at`` of a subscription: the last number of each of its streams."""
        return {stream: self.last(stream) for stream in streams_of(request, self._last)}

    def snapshot(self) -> dict[str, int]:
        """Return the last number of every stream; a user's stream is named ``user:ID``."""
        users = {user_stream(user_id): last for user_id, last in self._last_user.items()}
        return self._last | users

    def _idle(self, user_id: str, now_ns: int) -> None:
        self._idle_since_ns.pop(user_id, None)
        self._idle_since_ns[user_id] = now_ns
