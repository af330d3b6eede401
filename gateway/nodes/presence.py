"""``Presence``: the other nodes, their clients, and the connections that users have there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from gateway.nodes.shared_events import AgedEvents

_FORGET_NS: Final = 10_000_000_000  # a silent node; contract: within 15 s


class _Node:
    __slots__ = ("clients", "heard_ns", "subscriptions", "users")

    def __init__(self) -> None:
        self.clients = 0
        self.subscriptions = 0
        self.heard_ns = 0
        self.users: dict[str, int] = {}


class Presence:
    """What the other nodes tell in their messages, twice a second.

    A message tells the users whose number of connections has changed; the first one of a node,
    and the one after another node has appeared, tells all of them.

    Args:
        node: the id of this node.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._nodes: dict[str, _Node] = {}
        self._elsewhere: dict[str, int] = {}
        self._changed: dict[str, None] = {}
        self._tells_all = True
        self._has_changed = False

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def nodes(self) -> list[str]:
        """The ids of the other nodes, in order."""
        return sorted(self._nodes)

    @property
    def clients(self) -> int:
        """The clients of the other nodes."""
        return sum(node.clients for node in self._nodes.values())

    @property
    def subscriptions(self) -> int:
        """The subscriptions of the other nodes' clients."""
        return sum(node.subscriptions for node in self._nodes.values())

    def elsewhere(self, user_id: str) -> int:
        """Return how many connections a user has on other nodes."""
        return self._elsewhere.get(user_id, 0)

    def fullest(self, user_id: str) -> str | None:
        """Return the other node with the most connections of a user, ``None`` for none."""
        having = {
            name: node.users[user_id]
            for name, node in self._nodes.items()
            if node.users.get(user_id)
        }
        return max(sorted(having), key=having.__getitem__) if having else None

    def shared(self, users: Collection[str]) -> list[str]:
        """Return those of these users who have connections on other nodes too."""
        if len(self._elsewhere) < len(users):
            return [user for user in self._elsewhere if user in users]
        return [user for user in users if user in self._elsewhere]

    def departed(self, users: Collection[str]) -> list[str]:
        """Return the users that have left since the last message, without those given."""
        return [user for user in self._changed if user not in users]

    def tell_all(self) -> None:
        """Tell all users with the next message: the others may have missed some."""
        self._tells_all = True

    def user_changed(self, user_id: str) -> None:
        """Note that a user's number of connections on this node has changed."""
        self._changed[user_id] = None

    def beat(
        self,
        clients: int,
        subscriptions: int,
        connections: Mapping[str, Collection[object]],
        events: Mapping[str, AgedEvents],
    ) -> dict[str, Any]:
        """Return what this node tells the others now.

        Args:
            clients: its clients.
            subscriptions: their subscriptions.
            connections: the connections of each user on this node.
            events: by user, the events that count and were not told yet.
        """
        users = connections if self._tells_all else self._changed
        told = {user: len(connections.get(user, ())) for user in users}
        whole, self._tells_all = self._tells_all, False
        self._changed = {}
        return {
            "node": self._node,
            "clients": clients,
            "subscriptions": subscriptions,
            "whole": whole,
            "users": told,
            "events": dict(events),
        }

    def hear(self, beat: Mapping[str, Any], now_ns: int) -> None:
        """Take what another node tells.

        Args:
            beat: its message.
            now_ns: the time, monotonic ns.
        """
        name = beat["node"]
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = _Node()
            self._tells_all = True  # the newcomer knows nothing of this node's users
        if beat["whole"]:
            for user in list(node.users):
                self._count(node, user, 0)
        for user, count in beat["users"].items():
            self._count(node, user, count)
        self._has_changed |= node.clients != beat["clients"]
        node.clients, node.subscriptions = beat["clients"], beat["subscriptions"]
        node.heard_ns = now_ns

    def take_changed(self) -> bool:
        """Return whether the number of clients elsewhere has changed since the last call."""
        changed, self._has_changed = self._has_changed, False
        return changed

    def sweep(self, now_ns: int) -> list[str]:
        """Forget the nodes that have been silent for too long, and return their ids."""
        silent = [name for name, node in self._nodes.items() if node.heard_ns + _FORGET_NS < now_ns]
        for name in silent:
            self.forget(name)
        return silent

    def forget(self, name: str) -> None:
        """Forget a node and its clients, if it is known."""
        node = self._nodes.pop(name, None)
        if node is not None:
            for user in list(node.users):
                self._count(node, user, 0)
            self._has_changed = True

    def _count(self, node: _Node, user: str, count: int) -> None:
        total = self._elsewhere.get(user, 0) + count - node.users.get(user, 0)
        if count:
            node.users[user] = count
        else:
            node.users.pop(user, None)
        if total:
            self._elsewhere[user] = total
        else:
            self._elsewhere.pop(user, None)
