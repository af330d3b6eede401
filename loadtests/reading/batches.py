"""Pushes, and batches of them in columns: the output of the intake."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.contract import EVENTS, UNLISTED, Family

UNMEASURED: Final = -1
"""In a column of times: unknown."""
UNSHARED: Final = -1
"""In place of a key or slot: no other user gets this publication under this number."""

_NS_PER_US: Final = 1_000
_NUMBER_BITS: Final = 32
_UNCOUNTED: Final = frozenset({Family.CONTROL, Family.OTHER})

Integers = NDArray[np.int64]


class Place(NamedTuple):
    """An event's stream, its number there, and the number before it."""

    stream: str
    number: int
    previous: int


class Push:
    """One pushed event.

    Args:
        slot: as the attribute.
        place: its stream, its number there, and the number before it.
        name: of the event.
        kind: as the attribute.
        data: its payload.

    Attributes:
        slot: its stream's place in a fast path; ``UNSHARED`` for a stream of one user.
        number: its number in the stream.
        previous: the number before it at its receivers; −1 when it is not below ``number``.
        conflated: how many numbers between were conflated.
        name: of the event.
        stream: id of the stream.
        ts_ns: when it was numbered, ns of the gateway's clock.
        src_ns: when it should have been published, same clock; ``UNMEASURED`` when unknown.
        kind: twice the event's place in :attr:`Intake.names`, plus one when it is sampled.
        key: the same for all copies of a publication in this process; or ``UNSHARED``.
    """

    __slots__ = (
        "conflated",
        "key",
        "kind",
        "name",
        "number",
        "previous",
        "slot",
        "src_ns",
        "stream",
        "ts_ns",
    )

    def __init__(self, slot: int, place: Place, name: str, kind: int, data: Mapping[str, Any]):
        self.slot = slot
        self.stream, self.number, previous = place
        self.name = name
        self.kind = kind
        is_keyed = slot != UNSHARED and 0 <= self.number < 1 << _NUMBER_BITS
        self.key = slot << _NUMBER_BITS | self.number if is_keyed else UNSHARED
        self.previous = previous if 0 <= previous < self.number else -1
        self.conflated = self.number - 1 - self.previous if self.previous >= 0 else 0
        self.ts_ns: int = data["ts"] * _NS_PER_US
        self.src_ns: int = data["srcTs"] * _NS_PER_US if "srcTs" in data else UNMEASURED


class Share(NamedTuple):
    """The time between the kernel's stamp of a read's newest byte and our own stamp.

    Attributes:
        stamp_ns: our stamp, ns.
        share_ns: our stamp minus the kernel's, ns.
        owner: number of the user that read.
        first: place of the read's first push in the batch.
    """

    stamp_ns: int
    share_ns: int
    owner: int
    first: int


class Batch:
    """The pushes received since the batch before, in columns: one line for each receiver.

    A push is decoded once, however many users got it. So the contents of pushes are columns of
    the distinct ones, and ``which`` gives each line's place there.

    Args:
        stamps: when each push was read, ns.
        pushes: each line's push.
        owners: number of the user that each line belongs to.
        names: name and family of the events, by place.
        shares: the generator's own share of some reads.
        offset_ns: the gateway's clock minus ours, ns; 0 where they are one.

    Attributes:
        stamps_ns: when each push was read, ns of our clock.
        owners: number of each line's user, as the fast path has it.
        distinct: the pushes, each once.
        which: each line's place in ``distinct``.
        kinds: as in :class:`Push`.
        service_ns: read − numbered.
        response_ns: read − intended; meaningless where ``is_intended`` is false.
        is_intended: whether the push says when it was intended.
        others: events received beside the pushes, which are not timed.
        bytes_read: bytes that all clients read.
        shares_ns: the generator's own share of some reads, at ``share_stamps_ns``.
    """

    def __init__(
        self,
        stamps: array[int],
        pushes: list[Push],
        owners: array[int],
        names: tuple[tuple[str, str], ...],
        shares: list[Share],
        offset_ns: int = 0,
    ) -> None:
        self.names = tuple(name for name, _ in names)
        self.families = tuple(family for _, family in names)
        self.pushes = pushes
        self.offset_ns = offset_ns
        self.stamps_ns = np.array(stamps, dtype=np.int64)
        self.owners = np.array(owners, dtype=np.int64)  # indices: those of numpy have 64 bits
        self.distinct, self.which = _told_apart(pushes)
        self.kinds = _column("kind", self.distinct)[self.which]
        self.keys = _column("key", self.distinct)
        self._ts_ns = _column("ts_ns", self.distinct)
        src_ns = _column("src_ns", self.distinct)
        read_ns = self.stamps_ns + offset_ns if offset_ns else self.stamps_ns
        self.service_ns: Integers = read_ns - self._ts_ns[self.which]
        self.response_ns: Integers = read_ns - src_ns[self.which]
        self.is_intended: NDArray[np.bool_] = (src_ns != UNMEASURED)[self.which]
        self.others = 0
        self.bytes_read = 0
        self._shares = shares
        self.shares_ns = np.array([share.share_ns for share in shares], dtype=np.int64)
        self.share_stamps_ns = np.array([share.stamp_ns for share in shares], dtype=np.int64)

    @property
    def received(self) -> int:
        """The number of events received."""
        return len(self.pushes) + self.others

    def latencies_ns(self) -> Integers:
        """Return each push's response time; its service time where that is unknown."""
        return np.where(self.is_intended, self.response_ns, self.service_ns)

    def ts_ns(self, lines: NDArray[Any] | slice) -> Integers:
        """Return when the pushes of some lines were numbered, ns of the gateway's clock."""
        return self._ts_ns[self.which[lines]]

    def family_indices(self) -> Integers:
        """Return the place of each push's family in :attr:`families`."""
        return self.kinds >> 1

    def copies(
        self, without: Collection[int] = ()
    ) -> tuple[Integers, Integers, Integers, Integers]:
        """Return key, first and last read stamp, and number of copies of each distinct push.

        Args:
            without: owners whose copies are left out.
        """
        which, stamps_ns = self.which, self.stamps_ns
        if without:
            kept = ~np.isin(self.owners, list(without))
            which, stamps_ns = which[kept], stamps_ns[kept]
        size = len(self.distinct)
        first_ns, last_ns = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
        # Stamps ascend, and numpy keeps the last of several values for one item.
        first_ns[which[::-1]] = stamps_ns[::-1]
        last_ns[which] = stamps_ns
        copies = np.bincount(which, minlength=size)
        if without:
            told = copies > 0
            return self.keys[told], first_ns[told], last_ns[told], copies[told]
        return self.keys, first_ns, last_ns, copies

    def kernel_spans(self) -> tuple[Integers, Integers]:
        """Return kernel receive stamp − numbered of some pushes, and their read stamps, ns.

        The kernel stamps a read's newest byte, so only the last push of a stamped read is
        measured. The pushes before it may have been in the socket for longer.
        """
        spans, moments = [], []
        size = len(self.pushes)
        # Of two reads before the same push, only the later one can have brought it.
        for share in {share.first: share for share in self._shares}.values():
            last = share.first
            if last >= size or self.owners[last] != share.owner:
                continue  # that read brought no push
            stamp_ns = self.stamps_ns[last]
            while last + 1 < size and self.stamps_ns[last + 1] == stamp_ns:
                if self.owners[last + 1] != share.owner:
                    break
                last += 1
            kernel_ns = share.stamp_ns - share.share_ns + self.offset_ns
            spans.append(kernel_ns - int(self._ts_ns[self.which[last]]))
            moments.append(int(stamp_ns))
        return np.array(spans, dtype=np.int64), np.array(moments, dtype=np.int64)


def family_of(name: str, stream: str) -> str:
    """Return the first part of the stream's id; without a stream the event's family, or nothing.

    Args:
        name: of the event.
        stream: where the ledger accounts for it; empty when it does not.
    """
    family = EVENTS.get(name, UNLISTED).family
    return stream.partition(":")[0] or ("" if family in _UNCOUNTED else family.value)


def _told_apart(pushes: list[Push]) -> tuple[list[Push], Integers]:
    """Return the distinct objects of a list of pushes, and each push's place among them."""
    identities = np.fromiter(map(id, pushes), dtype=np.int64, count=len(pushes))
    _, first, which = np.unique(identities, return_index=True, return_inverse=True)
    return [pushes[index] for index in first.tolist()], which


def _column(field: str, pushes: list[Push]) -> Integers:
    return np.fromiter(map(attrgetter(field), pushes), dtype=np.int64, count=len(pushes))
