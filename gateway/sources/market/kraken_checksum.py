"""Kraken's checksum of an order book.

Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import chain
from typing import Final

_LEVELS: Final = 10


def kraken_checksum(
    asks: Sequence[Sequence[float]],
    bids: Sequence[Sequence[float]],
    *,
    price_decimals: int,
    size_decimals: int,
) -> int:
    """Return the CRC-32 of the ten best asks and bids, as Kraken writes them.

    Args:
        asks: price and size of each level, the lowest price first.
        bids: the same, the highest price first.
        price_decimals: decimals of the pair's prices, ``pair_decimals``.
        size_decimals: decimals of the pair's sizes, ``lot_decimals``.
    """
    levels = chain(asks[:_LEVELS], bids[:_LEVELS])
    text = "".join(
        _digits(level[0], price_decimals) + _digits(level[1], size_decimals) for level in levels
    )
    return zlib.crc32(text.encode())


def _digits(number: float, decimals: int) -> str:
    """Return a number's digits without its point and without zeros before them."""
    return f"{number:.{decimals}f}".replace(".", "").lstrip("0")
