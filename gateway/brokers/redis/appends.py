"""``Appends``: the publications of this node from its request until it has applied them.

A request waits, goes to Redis with others in one call, and is answered when this node has read
what it appended. A call whose answer was lost is made again with the same number and content.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.brokers.redis.log_state import LogAway
from gateway.nodes.entries import Draft

_DRAFTS_A_CALL: Final = 500
_MOST_WAITING_BYTES: Final = 67_108_864
_ANSWER_S: Final = 6.0  # longest time that a publisher waits


@dataclass(slots=True)
class _Request:
    drafts: Sequence[Draft]
    answer: asyncio.Future[list[bytes]]
    due_s: float


class Appends:
    """The requests of one node, in their order.

    Args:
        now_s: returns the monotonic clock, s.

    Attributes:
        number: of the last call, from 1.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.number = 0
        self._waiting: deque[_Request] = deque()
        self._waiting_bytes = 0
        self._under_way: list[_Request] = []
        self._appended: deque[tuple[int, list[_Request], list[bytes]]] = deque()  # not applied yet
        self._wake = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether the log has all of them."""
        return not (self._waiting or self._under_way)

    def add(self, drafts: Sequence[Draft]) -> asyncio.Future[list[bytes]]:
        """Add a request, and return the future of its answer. It fails with ``LogAway``.

        Args:
            drafts: its publications.

        Raises:
            LogAway: too much waits.
        """
        size = sum(draft.size for draft in drafts)
        if self._waiting_bytes + size > _MOST_WAITING_BYTES:
            raise LogAway("too much waits for the log")
        loop = asyncio.get_running_loop()
        request = _Request(drafts, loop.create_future(), self._now_s() + _ANSWER_S)
        self._waiting.append(request)
        self._waiting_bytes += size
        self._wake.set()
        return request.answer

    async def next_call(self) -> list[Draft]:
        """Return the publications of the next call: those without an answer, or those that wait.

        It waits for the first one.
        """
        if all(request.answer.done() for request in self._under_way):
            self._under_way = []  # nobody waits for a call that failed
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            self.number += 1
            count = 0
            while self._waiting and count < _DRAFTS_A_CALL:
                self._under_way.append(self._take())
                count += len(self._under_way[-1].drafts)
        return [draft for request in self._under_way for draft in request.drafts]

    def _take(self) -> _Request:
        request = self._waiting.popleft()
        self._waiting_bytes -= sum(draft.size for draft in request.drafts)
        return request

    def appended(self, number: int, answers: list[bytes]) -> None:
        """Take the answers to the call under way.

        Args:
            number: the number of the last entry then.
            answers: one for each publication.
        """
        self._appended.append((number, self._under_way, answers))
        self._under_way = []

    def applied(self, number: float) -> None:
        """Answer the requests that this node has applied: a publisher then finds them here.

        Args:
            number: the number of the last entry that was applied.
        """
        while self._appended and self._appended[0][0] <= number:
            _, requests, answers = self._appended.popleft()
            at = 0
            for request in requests:
                if not request.answer.done():
                    request.answer.set_result(answers[at : at + len(request.drafts)])
                at += len(request.drafts)

    def refused(self, reason: str) -> None:
        """Fail the call under way, which has appended nothing.

        Args:
            reason: why.
        """
        _fail(self._under_way, reason, is_unsure=False)
        self._under_way = []

    def expire(self, reason: str) -> None:
        """Answer the publishers that have waited long enough.

        Args:
            reason: why the others have no answer.
        """
        now_s = self._now_s()
        while self._appended and self._appended[0][1][0].due_s < now_s:
            self.applied(self._appended[0][0])
        late = [request for request in self._under_way if request.due_s < now_s]
        _fail(late, reason, is_unsure=True)
        while self._waiting and self._waiting[0].due_s < now_s:
            _fail([self._take()], reason, is_unsure=False)

    def end(self, reason: str) -> None:
        """Answer all.

        Args:
            reason: why no more comes.
        """
        self.applied(math.inf)
        _fail(self._under_way, reason, is_unsure=True)
        _fail(self._waiting, reason, is_unsure=False)
        self._under_way, self._waiting_bytes = [], 0
        self._waiting.clear()


def _fail(requests: Iterable[_Request], reason: str, *, is_unsure: bool) -> None:
    for request in requests:
        if not request.answer.done():
            request.answer.set_exception(LogAway(reason, is_unsure=is_unsure))
