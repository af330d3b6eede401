"""``PrivateEvents``: the last private events of each user, encoded, for clients that return."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gateway.contract import MAX_REPLAY_BYTES, MAX_REPLAY_EVENTS, MAX_REPLAYS_BYTES

_USER_OVERHEAD: Final = 400  # bytes of memory beside the events
_EVENT_OVERHEAD: Final = 64


class _Held:
    """The last events of a user: ``last`` is the number of the last one, without a gap before."""

    __slots__ = ("last", "packets", "size")

    def __init__(self) -> None:
        self.last = 0
        self.packets: list[bytes] = []
        self.size = 0


class PrivateEvents:
    """The last private events of each user, all those after some number or none.

    Args:
        most_events: how many are kept for a user.
        most_user_bytes: how many bytes are kept for a user.
        most_bytes: memory for all users together. Above it, the users whose events were used
            least recently are forgotten.
    """

    def __init__(
        self,
        most_events: int = MAX_REPLAY_EVENTS,
        most_user_bytes: int = MAX_REPLAY_BYTES,
        most_bytes: int = MAX_REPLAYS_BYTES,
    ) -> None:
        self._most_events = most_events
        self._most_user_bytes = most_user_bytes
        self._most_bytes = most_bytes
        self._users: OrderedDict[str, _Held] = OrderedDict()
        self._memory = 0

    def __len__(self) -> int:
        return len(self._users)

    @property
    def memory(self) -> int:
        """Bytes of memory of all that is kept, estimated."""
        return self._memory

    def keep(self, user_id: str, number: int, packet: bytes) -> None:
        """Keep an event. One that does not follow the last one kept replaces all of them.

        Args:
            user_id: the user.
            number: the event's number in the user's stream.
            packet: the event, encoded.
        """
        users = self._users
        held = users.get(user_id)
        if held is not None and held.last == number - 1:
            users.move_to_end(user_id)
        else:
            self.forget(user_id)
            held = users[user_id] = _Held()
            self._memory += _USER_OVERHEAD
        packets = held.packets
        packets.append(packet)
        held.last = number
        size = len(packet)
        held.size += size
        self._memory += size + _EVENT_OVERHEAD
        while held.size > self._most_user_bytes or len(packets) > self._most_events:
            size = len(packets.pop(0))
            held.size -= size
            self._memory -= size + _EVENT_OVERHEAD
        while self._memory > self._most_bytes:
            self.forget(next(iter(users)))

    def after(self, user_id: str, number: int, last: int) -> list[bytes] | None:
        """Return the events after a number up to the stream's last one, in order.

        Args:
            user_id: the user.
            number: the number of the last event that the client has.
            last: the last number of the user's stream.

        Returns:
            The encoded events, ``None`` if not all of them are kept.
        """
        if number == last:
            return []
        held = self._users.get(user_id)
        if held is None or held.last != last:
            return None
        kept_after = last - len(held.packets)
        if not kept_after <= number < last:
            return None
        self._users.move_to_end(user_id)
        return held.packets[number - kept_after :]

    def forget(self, user_id: str) -> None:
        """Forget a user's events, if there are any."""
        held = self._users.pop(user_id, None)
        if held is not None:
            self._memory -= _USER_OVERHEAD + held.size + _EVENT_OVERHEAD * len(held.packets)
