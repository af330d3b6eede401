"""Which symbols a feed delivers, from who holds them."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.sources.market.interest import Interest

DELAY = 10
SYMBOLS = ("A", "B", "C")


class InterestMachine(RuleBasedStateMachine):
    """Holders come and go; the model is when each symbol was last held."""

    def __init__(self) -> None:
        super().__init__()
        self.interest = Interest(SYMBOLS, DELAY)
        self.now = 0
        self.holders = dict.fromkeys(SYMBOLS, 0)
        self.whole = 0
        self.upstream: set[str] = set()
        self.left: dict[str, int] = {}

    def _note(self) -> None:
        for symbol in SYMBOLS:
            if self.holders[symbol] or self.whole:
                self.left[symbol] = self.now

    def _taken(self, symbols: tuple[str, ...]) -> None:
        assert not self.upstream & set(symbols), "a symbol is taken twice"
        self.upstream |= set(symbols)
        self._note()

    @rule(symbol=st.sampled_from(SYMBOLS))
    def hold(self, symbol: str) -> None:
        self.holders[symbol] += 1
        self._taken(self.interest.hold(symbol))

    @rule(symbol=st.sampled_from(SYMBOLS))
    def let_go(self, symbol: str) -> None:
        self._note()
        if self.holders[symbol]:
            self.holders[symbol] -= 1
            self.interest.let_go(symbol, self.now)
        else:
            with pytest.raises(ValueError, match="nobody holds"):
                self.interest.let_go(symbol, self.now)

    @rule()
    def hold_all(self) -> None:
        self.whole += 1
        self._taken(self.interest.hold_all())

    @rule()
    def let_all_go(self) -> None:
        self._note()
        if self.whole:
            self.whole -= 1
            self.interest.let_all_go(self.now)
        else:
            with pytest.raises(ValueError, match="nobody holds"):
                self.interest.let_all_go(self.now)

    @rule(step=st.integers(1, 2 * DELAY))
    def wait(self, step: int) -> None:
        self._note()
        self.now += step
        released = self.interest.take_due(self.now)
        assert set(released) <= self.upstream
        self.upstream -= set(released)

    @invariant()
    def a_symbol_is_upstream_while_it_is_held_and_for_the_delay(self) -> None:
        for symbol in SYMBOLS:
            is_held = bool(self.holders[symbol] or self.whole)
            is_recent = symbol in self.left and self.now - self.left[symbol] < DELAY
            assert (symbol in self.upstream) == (is_held or is_recent), symbol
            assert self.interest.is_taken(symbol) == (symbol in self.upstream)


TestInterest = InterestMachine.TestCase
TestInterest.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


def test_a_symbol_that_the_market_lacks_is_never_taken() -> None:
    interest = Interest(["A"], DELAY)
    assert interest.hold("X") == ()
    interest.let_go("X", 0)
    assert not interest.is_taken("X")
    assert interest.next_due_ns() is None
