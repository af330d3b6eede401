"""A DataFrame as text cells, for a page.

A column's name carries its unit: ``p99_ns`` is shown as ``p99`` with times such as ``9.31 ms``,
``memory_bytes`` as sizes, ``t_s`` as seconds. An absent value is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pandas as pd

from reports import quantities


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() or abs(value) >= 100 else f"{value:.3g}"


_SHOWN: Final[dict[str, Callable[[float], str]]] = {
    "_ns": quantities.span,
    "_bytes": quantities.size,
    "_s": lambda value: f"{value:,.6g}",
    "": _number,
}
"""How a column is shown, by the end of its name."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A table as text.

    Attributes:
        heads: column names, with the unit where the cells have none.
        is_number: whether each column holds numbers.
        rows: the cells, one text per column.
    """

    heads: tuple[str, ...]
    is_number: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


def cells_of(table: pd.DataFrame) -> Cells:
    """Return a table as text, with each column in its unit."""
    heads, columns = [], []
    for name in table.columns:
        unit = next(unit for unit in _SHOWN if str(name).endswith(unit))
        bare = str(name).removesuffix(unit).replace("_", " ")
        heads.append(f"{bare}, s" if unit == "_s" else bare)
        columns.append([_cell(value, _SHOWN[unit]) for value in table[name]])
    return Cells(
        heads=tuple(heads),
        is_number=tuple(pd.api.types.is_numeric_dtype(table[name]) for name in table.columns),
        rows=tuple(zip(*columns, strict=True)),
    )


def _cell(value: object, show: Callable[[float], str]) -> str:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA:
        return quantities.ABSENT
    number = float(value)  # type: ignore[arg-type]  # a column holds texts or numbers
    return quantities.ABSENT if math.isnan(number) else show(number)
