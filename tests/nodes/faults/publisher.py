"""``Publisher``: sends each publication, by its ``id``, until a node has accepted it."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import aiohttp

from gateway.contract import PUBLISH_PATH
from tests.nodes.faults.listener import SECRET

ANSWER_S: Final = 8.0
"""How long it waits for an answer: longer than a node waits for the log."""
_RETRY_S: Final = 0.1
_LEAST_USERS: Final = 10  # of a request
_REQUESTS_A_ROUND: Final = 20
NO_ANSWER: Final = "none"

Item = dict[str, Any]


class Publisher:
    """Publishes market data in one task and private events in another, each in order.

    Args:
        urls: returns the addresses of the nodes, which take turns.
        token: may publish.
        session: makes the connections.
        symbols: the symbols of the market data.
        users: the owners of the private events.
        pause_s: between two requests of a task, s.

    Attributes:
        accepted: by stream, the ``n`` of each accepted publication, in order.
        answers: how often each answer came since ``count``; ``none`` for no answer.
        under_way: requests that a node has not answered yet, by its address.
        sends_twice: whether each request goes to two nodes at once.
        unequal: answers of two nodes to one request that differ.
        tasks: of the publisher.
    """

    def __init__(
        self,
        urls: Callable[[], Sequence[str]],
        token: str,
        session: aiohttp.ClientSession,
        symbols: Sequence[str],
        users: Sequence[str],
        pause_s: float,
    ) -> None:
        self.accepted: dict[str, list[int]] = defaultdict(list)
        self.answers: Counter[str] = Counter()
        self.under_way: Counter[str] = Counter()
        self.sends_twice = False
        self.unequal = 0
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session = session
        self._symbols = symbols
        self._users = users
        self._each = max(_LEAST_USERS, len(users) // _REQUESTS_A_ROUND)
        self._pause_s = pause_s
        self._turn = itertools.count()
        self._n = itertools.count(1)
        self.tasks: list[asyncio.Task[None]] = []
        self._is_ending = False

    def start(self) -> None:
        """Begin to publish."""
        places = itertools.cycle(range(0, len(self._users), self._each))
        market = (self.market_items() for _ in itertools.count())
        rounds = (market, (self.private_items(first) for first in places))
        self.tasks = [asyncio.create_task(self._repeat(items)) for items in rounds]

    async def end(self) -> None:
        """Publish once more to each stream, and stop."""
        self._is_ending = True
        await asyncio.gather(*self.tasks)
        await self.send(self.market_items())
        for first in range(0, len(self._users), self._each):
            await self.send(self.private_items(first))

    async def _repeat(self, rounds: Iterator[list[tuple[str, Item]]]) -> None:
        for items in rounds:
            if self._is_ending:
                return
            await self.send(items)
            await asyncio.sleep(self._pause_s)

    def market_items(self) -> list[tuple[str, Item]]:
        """Return an update of each symbol, each with its stream."""
        return [
            (f"price:{symbol}", self._item("price:update", {"symbol": symbol}, room="market-data"))
            for symbol in self._symbols
        ]

    def private_items(self, first: int) -> list[tuple[str, Item]]:
        """Return a note to each of some users, and an order of the first of them.

        Args:
            first: the place of the first user.
        """
        users = self._users[first : first + self._each]
        notes = [
            (f"user:{user}", self._item("note", {"secret": f"{SECRET}{user};"}, userId=user))
            for user in users
        ]
        own = {"clientOrderId": f"{SECRET}{users[0]};", "symbol": self._symbols[0]}
        place = {"userId": users[0], "room": "trading"}
        order = self._item("order:filled", {"order": own}, **place)
        return [*notes, ("trading", order)]

    def _item(self, event: str, data: Item, **place: str) -> Item:
        n = next(self._n)
        if event == "order:filled":
            data["order"] |= {"id": f"o{n}", "quantity": n}
        else:
            data["price" if event == "price:update" else "n"] = n
        return {"event": event, "data": data, "id": f"n{n}", **place}

    async def send(self, items: Sequence[tuple[str, Item]]) -> None:
        """Send items in one request, to one node after the other until one accepts them."""
        while True:
            urls = self._urls()
            turn = next(self._turn)
            body = [item for _, item in items]
            if self.sends_twice:
                both = [self._send(url, body) for url in urls[:2]]
                first, second = await asyncio.gather(*both)
                self.unequal += first != second
            else:
                first = await self._send(urls[turn % len(urls)], body)
            if first is not None:
                break
            await asyncio.sleep(_RETRY_S)
        for stream, item in items:
            n = int(item["id"][1:])
            self.accepted[stream].append(n)
            if stream == "trading":
                self.accepted[f"user:{item['userId']}"].append(n)

    async def _send(self, url: str, body: list[Item]) -> Any:
        """Return the receipts, ``None`` if the node has not accepted."""
        self.under_way[url] += 1
        try:
            async with self._session.post(
                f"{url}{PUBLISH_PATH}",
                json=body,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(ANSWER_S),
            ) as answer:
                self.answers[str(answer.status)] += 1
                found = await answer.json()
                if answer.status == 202:
                    return found["published"]
                assert answer.status == 503, found
                return None
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.answers[NO_ANSWER] += 1
            return None
        finally:
            self.under_way[url] -= 1
