from __future__ import annotations

from loadtests.oracles.entitlements import EntitlementOracle


def test_what_the_token_allows_may_come_and_nothing_else() -> None:
    oracle = EntitlementOracle(["A"])
    assert oracle.judge("A", 5) is None
    assert oracle.judge("B", 5) == "B: no token of the connection allowed it"


def test_a_symbol_that_a_refresh_took_may_come_until_the_gateway_has_applied_it() -> None:
    oracle = EntitlementOracle(["A"])
    oracle.replace(["B"])
    assert oracle.judge("A", 9_000) is None  # the refresh is under way
    oracle.apply(10_000)
    assert oracle.judge("A", 10_000) is None  # published before, and read late
    assert oracle.judge("A", 12_500) == "A: published 2.5 ms after its token was replaced"
    assert oracle.judge("B", 12_500) is None


def test_each_symbol_keeps_the_moment_at_which_it_was_taken() -> None:
    oracle = EntitlementOracle(["A", "B"])
    oracle.replace(["B"])
    oracle.apply(10_000)
    oracle.replace([])
    oracle.apply(20_000)
    assert oracle.judge("A", 15_000) is not None
    assert oracle.judge("B", 15_000) is None
    assert oracle.judge("B", 25_000) is not None


def test_a_symbol_that_a_later_token_gives_back_may_come() -> None:
    oracle = EntitlementOracle(["A"])
    oracle.replace([])
    oracle.apply(10_000)
    oracle.replace(["A"])
    assert oracle.judge("A", 30_000) is None
