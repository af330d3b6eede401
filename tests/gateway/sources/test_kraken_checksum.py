"""Kraken's checksum against the example of Kraken's own documentation."""

from __future__ import annotations

from gateway.sources.market.kraken_checksum import kraken_checksum

ASKS = [[0.05005 + 0.00005 * n, 0.000005] for n in range(10)]
BIDS = [
    [price, 0.000005]
    for price in (0.05, 0.04995, 0.0499, 0.0498, 0.04975, 0.0497, 0.04965, 0.0496, 0.04955, 0.0495)
]


def test_the_documented_example_has_its_checksum() -> None:
    assert kraken_checksum(ASKS, BIDS, price_decimals=5, size_decimals=8) == 974947235


def test_levels_beyond_the_tenth_do_not_count() -> None:
    deeper = [*ASKS, [0.06, 1.0]], [*BIDS, [0.04, 1.0]]
    assert kraken_checksum(*deeper, price_decimals=5, size_decimals=8) == 974947235
    fewer = kraken_checksum(ASKS[:9], BIDS, price_decimals=5, size_decimals=8)
    assert fewer != 974947235
