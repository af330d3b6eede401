"""``Receipts``: the receipts of publications with an ``id``, so that none is published twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from gateway.contract import PUBLISH_ID_SECONDS

_RETENTION_NS: Final = round(PUBLISH_ID_SECONDS * 1e9)
_MOST: Final = 200_000  # about 125 MB
_LOOKS_A_SWEEP: Final = 5_000  # 2 ms


class _Given(NamedTuple):
    due_ns: int
    receipt: dict[str, Any]


class Receipts:
    """The receipts of the last publications with an ``id``.

    Args:
        most: how many are kept. None is forgotten early: ``can_keep`` says when no more fit.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._given: OrderedDict[str, _Given] = OrderedDict()  # by the time of the publication

    def __len__(self) -> int:
        return len(self._given)

    def can_keep(self, publication_ids: Collection[str], now_ns: int) -> bool:
        r"""Return whether the receipts of all these publications can be kept.

        Args:
            publication_ids: their ``id``\ s, each once. Receipts that are kept need no more room.
            now_ns: the time, monotonic ns.
        """
        self.sweep(now_ns)
        fresh = sum(publication_id not in self._given for publication_id in publication_ids)
        return len(self._given) + fresh <= self._most

    def of(self, publication_id: str, now_ns: int) -> dict[str, Any] | None:
        """Return the receipt of a publication of the last minute, ``None`` if there is none.

        Args:
            publication_id: its ``id``.
            now_ns: the time, monotonic ns.
        """
        given = self._given.get(publication_id)
        return None if given is None or given.due_ns <= now_ns else dict(given.receipt)

    def keep(self, publication_id: str, receipt: dict[str, Any], now_ns: int) -> None:
        """Keep the receipt of a publication.

        Args:
            publication_id: its ``id``.
            receipt: its receipt.
            now_ns: the time, monotonic ns.
        """
        self._given[publication_id] = _Given(now_ns + _RETENTION_NS, dict(receipt))
        self._given.move_to_end(publication_id)

    def sweep(self, now_ns: int) -> None:
        """Forget receipts whose time has passed, a bounded number at a time."""
        for _ in range(_LOOKS_A_SWEEP):
            if not self._given or next(iter(self._given.values())).due_ns > now_ns:
                return
            self._given.popitem(last=False)
