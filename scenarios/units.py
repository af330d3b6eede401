"""Numbers with units in scenario files.

quantity = number [ " " ] unit
number   = digits [ "." digits ], with "_" or "," between thousands
unit     = "ns" | "us" | "µs" | "ms" | "s" | "m" | "h"  (time)
         | "B" | "KB" | "MB"                            (bytes; 1 KB = 1,024 B)
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

TIME_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
BYTE_UNITS: Final = {"B": 1, "KB": 1_024, "MB": 1_048_576}
NANOSECONDS_PER_SECOND: Final = 1_000_000_000

NUMBER: Final = r"[0-9]+(?:[_,][0-9]{3})*(?:\.[0-9]+)?"
"""The pattern of a quantity's number."""
_QUANTITY: Final = re.compile(rf"(?P<number>{NUMBER})\s*(?P<unit>[A-Za-z%\u00b5\u03bc]*)", re.ASCII)
# The micro sign and the Greek letter mu look the same.
_MICRO: Final = str.maketrans({"\u00b5": "u", "\u03bc": "u"})


def split_quantity(text: str) -> tuple[float, str] | None:
    """Return the number and the unit (may be empty) of a text; None when it is neither.

    A number too large for a float is none. ``µs`` is returned as ``us``.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return None
    number = float(match["number"].replace("_", "").replace(",", ""))
    return (number, match["unit"].translate(_MICRO)) if isfinite(number) else None


def parse_duration_ns(text: str) -> int:
    """Return a duration such as ``"4 s"`` in whole nanoseconds.

    Raises:
        ValueError: the text is not a number with a unit of time.
    """
    found = split_quantity(text)
    if found is None or found[1] not in TIME_UNITS:
        raise ValueError(
            f'"{text}" is not a duration; write a number and one of {", ".join(TIME_UNITS)}, '
            'such as "4 s"'
        )
    number, unit = found
    return round(number * TIME_UNITS[unit])
