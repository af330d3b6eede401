"""Whether snapshots and all copies of a shared event say what its first copy said. Pure.

Shared are market events, and the public form of trading events.

Nobody needs to know what a publisher sent: the first copy of a number that reaches a process is
what all later ones are compared with. So a snapshot that is a value too old, or that has another
content than the event of its number, is found, and so is a changed copy of a live event. Nodes
that number two events the other way round than each other are found as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Set
from typing import Any, Final

import orjson

from gateway.contract import symbol_room
from loadtests.oracles.ledger import BY_SYMBOL, market_stream_of

_MOST: Final = 65_536  # numbers in one of two generations: about 10 MB
_OF_THE_COPY: Final = frozenset(["prevSeq", "snapshot", "epoch"])
_OF_THE_NODE: Final = _OF_THE_COPY | {"ts"}


class SharedContents:
    """What each number of each shared stream says, for all users of a process.

    Args:
        most: how many numbers are kept at least, and half of how many at most.

    Attributes:
        has_one_clock: whether ``ts`` of all copies is of one clock, and so equal.
    """

    def __init__(self, most: int = _MOST) -> None:
        self.has_one_clock = True
        self._most = most
        self._epoch: object = None
        self._young: dict[tuple[str, int], int] = {}
        self._old: dict[tuple[str, int], int] = {}

    def begin(self, epoch: object) -> None:
        """Take the epoch of a welcome. Another epoch uses the same numbers for other events."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._young, self._old = {}, {}

    def agrees(self, stream: str, number: int, payload: Mapping[str, Any]) -> bool:
        """Return whether an event says what the first copy of its number said.

        Args:
            stream: its stream.
            number: its number there.
            payload: the event.
        """
        key = stream, number
        left_out = _OF_THE_COPY if self.has_one_clock else _OF_THE_NODE
        own = {name: value for name, value in payload.items() if name not in left_out}
        checksum = zlib.crc32(orjson.dumps(own, option=orjson.OPT_SORT_KEYS))
        known = self._young.get(key)
        if known is None:
            known = self._old.get(key, checksum)
            if len(self._young) >= self._most:
                self._young, self._old = {}, self._young
            self._young[key] = known
        return known == checksum


class ExpectedSnapshots:
    """The snapshots that one user is owed: of each stream with a value that it newly holds.

    A later event of the stream may take the place of a snapshot that a user has not read. So a
    snapshot is missing only where nothing of its stream has come.
    """

    __slots__ = ("_is_exact", "_marks")

    def __init__(self) -> None:
        self._marks: dict[str, int] = {}
        self._is_exact = True

    def __len__(self) -> int:
        return len(self._marks)

    def expect(self, held: Set[str] | None, payload: Mapping[str, Any]) -> None:
        """Take a ``subscribed``.

        Args:
            held: the rooms that the user held before; ``None`` for a whole market, whose symbols
                are not judged.
            payload: the answer. With ``maxRate`` its marks are those of the rate, and a snapshot
                may be newer.
        """
        self._is_exact = payload.get("maxRate") is None
        symbols = () if held is None else payload.get("symbols", ())
        for symbol in symbols:
            if held is not None and symbol_room(symbol) not in held:
                for name in BY_SYMBOL:
                    stream = market_stream_of(name, symbol)
                    mark = payload["at"].get(stream, 0)
                    if mark:
                        self._marks[stream] = mark

    def take(self, stream: str, number: int) -> str | None:
        """Take a snapshot, and return what is wrong with its number; ``None`` if it is right.

        Args:
            stream: its stream.
            number: its number there.
        """
        mark = self._marks.pop(stream, None)
        if mark is None or number == mark or (number > mark and not self._is_exact):
            return None
        return f"{stream}: a snapshot of {number}; the subscription began at {mark}"

    def missing(self, last_of: Callable[[str], int]) -> list[str]:
        """Return the streams whose snapshots have not come, nor anything later.

        Args:
            last_of: returns the last number of a stream that the user has.
        """
        return [stream for stream, mark in self._marks.items() if last_of(stream) <= mark]
