"""``Revocations``: users whose tokens of before a moment are refused."""

from __future__ import annotations

from typing import Final

_NS_PER_S: Final = 1e9


class Revocations:
    """The moment of each user before which a token must not have been issued.

    A revocation is forgotten once the tokens that it concerns have expired, so the table is
    bounded by the revocations within one token's lifetime. That lifetime passes on both clocks:
    a wall clock that is wrong for a moment forgets none.

    Args:
        longest_s: how long a token may be accepted after it is issued, with all leeway, s.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        # By user: the moment, and when to forget it by either clock. The last revocation is last.
        self._revoked: dict[str, tuple[float, float, float]] = {}

    def __len__(self) -> int:
        return len(self._revoked)

    def revoke(self, user_id: str, issued_before: float, unix_s: float, now_ns: int) -> None:
        """Refuse a user's tokens that were issued before a moment. It never becomes earlier.

        Args:
            user_id: the user.
            issued_before: the moment, Unix s.
            unix_s: the time, Unix s.
            now_ns: the time, monotonic ns.
        """
        former = self._revoked.pop(user_id, None)
        moment = issued_before if former is None else max(issued_before, former[0])
        self._revoked[user_id] = (
            moment,
            max(unix_s, moment) + self._longest_s,
            now_ns + self._longest_s * _NS_PER_S,
        )

    def concern(self, user_id: str, issued_at: float | None) -> bool:
        """Return whether a token is revoked.

        Args:
            user_id: its user.
            issued_at: its ``iat``, Unix s. A token without one may be older than any moment.
        """
        revoked = self._revoked.get(user_id)
        return revoked is not None and (issued_at is None or issued_at < revoked[0])

    def sweep(self, unix_s: float, now_ns: int) -> None:
        """Forget the revocations whose tokens have all expired.

        Args:
            unix_s: the time, Unix s.
            now_ns: the time, monotonic ns.
        """
        while self._revoked:
            user_id, (_, forget_at_s, forget_at_ns) = next(iter(self._revoked.items()))
            if forget_at_s > unix_s or forget_at_ns > now_ns:
                return
            del self._revoked[user_id]
