"""Staleness: the age of the prices that a sample of users holds.

The age of a price is now − ``ts``. A user holds the newest price of each symbol that it is
subscribed to, once the symbol has a price.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

import numpy as np

from gateway.contract import EVENTS, PRICE_EVENT
from loadtests.reading.batches import Batch, Integers

WATCHED_EACH: Final = 20
"""One user in this many belongs to the sample."""
WATCHED_FIRST: Final = 20
"""The first users, up to this many, all belong to the sample."""
_PRICES: Final = EVENTS[PRICE_EVENT].stream.kind
_SLOT_BITS: Final = 32
_LEAST: Final = 1_024


class PriceHolder(Protocol):
    """An account of a user that holds prices."""

    def open_slots(self, kind: str) -> Iterable[int]:
        """Return the slots of the streams of a kind (``price``) that the user is owed now."""
        ...


def is_watched(place: int) -> bool:
    """Return whether the user at a place in the order of arrival belongs to the sample."""
    return place < WATCHED_FIRST or place % WATCHED_EACH == 0


class HeldPrices:
    """The newest price of each symbol at each watched user.

    Attributes:
        offset_ns: the gateway's clock minus the generator's in the newest batch, ns.
    """

    def __init__(self) -> None:
        self.offset_ns = 0
        self._holders: dict[int, PriceHolder] = {}
        self._is_watched = np.zeros(_LEAST, dtype=np.bool_)
        self._newest_ns: dict[int, int] = {}

    @property
    def size(self) -> int:
        """Number of prices kept: one for each symbol that a watched user ever held."""
        return len(self._newest_ns)

    def watch(self, owner: int, holder: PriceHolder) -> None:
        """Watch a user from now on; ``owner`` is its number in batches."""
        self._holders[owner] = holder
        if owner >= len(self._is_watched):
            more = max(owner + 1, 2 * len(self._is_watched)) - len(self._is_watched)
            self._is_watched = np.concatenate((self._is_watched, np.zeros(more, dtype=np.bool_)))
        self._is_watched[owner] = True

    def take(self, batch: Batch) -> None:
        """Take the prices of a batch."""
        self.offset_ns = batch.offset_ns
        if not self._holders:
            return
        known = len(self._is_watched)
        if len(batch.owners) and int(batch.owners.max()) >= known:
            chosen = np.zeros(len(batch.owners), dtype=np.bool_)
            is_known = batch.owners < known
            chosen[is_known] = self._is_watched[batch.owners[is_known]]
            lines = np.flatnonzero(chosen)
        else:
            lines = np.flatnonzero(self._is_watched[batch.owners])
        is_price = np.array([family == _PRICES for family in batch.families])
        lines = lines[is_price[batch.family_indices()[lines]]]
        slots = batch.keys[batch.which[lines]] >> _SLOT_BITS
        keys = batch.owners[lines] << _SLOT_BITS | slots
        self._newest_ns.update(zip(keys.tolist(), batch.ts_ns(lines).tolist(), strict=True))

    def hold(self, owner: int, slot: int, ts_ns: int) -> None:
        """Take a price from a snapshot, unless a newer one is known.

        Args:
            owner: the user's number in batches.
            slot: slot of the price's stream.
            ts_ns: ``ts`` of the price, ns by the gateway's clock.
        """
        key = owner << _SLOT_BITS | slot
        self._newest_ns[key] = max(ts_ns, self._newest_ns.get(key, ts_ns))

    def ages_ns(self, now_ns: int) -> Integers:
        """Return the age (ns) of each price held at ``now_ns`` of the generator's clock."""
        newest_ns = self._newest_ns
        found = [
            newest_ns.get(owner << _SLOT_BITS | slot)
            for owner, holder in self._holders.items()
            for slot in holder.open_slots(_PRICES)
        ]
        held_ns = np.array([ts_ns for ts_ns in found if ts_ns is not None], dtype=np.int64)
        return now_ns + self.offset_ns - held_ns
