"""``Interest``: which symbols a feed must deliver, from who holds them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable


class Interest:
    """Counts the holders of each symbol. The last one's leaving releases it after a delay.

    A symbol is taken while it has a holder, while somebody holds the whole market, and until the
    delay after that has passed. A symbol that the market does not have is never taken.

    Args:
        symbols: the symbols of the market.
        release_ns: the delay, ns.
    """

    def __init__(self, symbols: Iterable[str], release_ns: int) -> None:
        self._symbols = dict.fromkeys(symbols)
        self._release_ns = release_ns
        self._holders: dict[str, int] = {}
        self._whole = 0
        self._taken: dict[str, None] = {}
        self._due_ns: OrderedDict[str, int] = OrderedDict()  # by time: all have the same delay

    def __len__(self) -> int:
        return len(self._taken)

    def is_taken(self, symbol: str) -> bool:
        """Return whether the feed must deliver a symbol."""
        return symbol in self._taken

    def hold(self, symbol: str) -> tuple[str, ...]:
        """Count a holder of a symbol, and return the symbols to take now."""
        if symbol not in self._symbols:
            return ()
        self._holders[symbol] = self._holders.get(symbol, 0) + 1
        return self._take((symbol,))

    def hold_all(self) -> tuple[str, ...]:
        """Count a holder of the whole market, and return the symbols to take now."""
        self._whole += 1
        return self._take(self._symbols)

    def let_go(self, symbol: str, now_ns: int) -> None:
        """Remove a holder of a symbol.

        Args:
            symbol: the symbol.
            now_ns: the time, monotonic ns.

        Raises:
            ValueError: it has no holder.
        """
        if symbol not in self._symbols:
            return
        count = self._holders.get(symbol, 0)
        if not count:
            raise ValueError(f"nobody holds {symbol}")
        if count > 1:
            self._holders[symbol] = count - 1
            return
        del self._holders[symbol]
        if not self._whole:
            self._due_ns[symbol] = now_ns + self._release_ns

    def let_all_go(self, now_ns: int) -> None:
        """Remove a holder of the whole market.

        Raises:
            ValueError: it has no holder.
        """
        if not self._whole:
            raise ValueError("nobody holds the whole market")
        self._whole -= 1
        if not self._whole:
            for symbol in self._taken:
                if symbol not in self._holders:
                    self._due_ns[symbol] = now_ns + self._release_ns

    def next_due_ns(self) -> int | None:
        """Return when the next symbol is to be released, ``None`` if none is."""
        return next(iter(self._due_ns.values()), None)

    def take_due(self, now_ns: int) -> list[str]:
        """Return the symbols whose delay has passed. They are no longer taken."""
        due = []
        while self._due_ns and next(iter(self._due_ns.values())) <= now_ns:
            symbol, _ = self._due_ns.popitem(last=False)
            del self._taken[symbol]
            due.append(symbol)
        return due

    def _take(self, symbols: Iterable[str]) -> tuple[str, ...]:
        new = []
        for symbol in symbols:
            self._due_ns.pop(symbol, None)
            if symbol not in self._taken:
                self._taken[symbol] = None
                new.append(symbol)
        return tuple(new)
