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

_SHOWN: Final[dict[str, Callable[[float], str]]] = {
    "_ns": quantities.span,
    "_bytes": quantities.size,
    "_s": lambda value: f"{value:,.6g}",
}


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
    names = [str(name) for name in table.columns]
    columns = [_column(name, table[name]) for name in table.columns]
    return Cells(
        heads=tuple(_head(name) for name in names),
        is_number=tuple(pd.api.types.is_numeric_dtype(table[name]) for name in table.columns),
        rows=tuple(zip(*columns, strict=True)),
    )


def _head(name: str) -> str:
    for unit in _SHOWN:
        if name.endswith(unit):
            bare = name.removesuffix(unit).replace("_", " ")
            return {"_s": f"{bare}, s"}.get(unit, bare)
    return name.replace("_", " ")


def _column(name: str, values: pd.Series) -> list[str]:
    show = next((show for unit, show in _SHOWN.items() if name.endswith(unit)), _number)
    return [_cell(value, show) for value in values]


def _cell(value: object, show: Callable[[float], str]) -> str:
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA:
        return quantities.ABSENT
    number = float(value)  # type: ignore[arg-type]  # a column holds texts or numbers
    return quantities.ABSENT if math.isnan(number) else show(number)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() or abs(value) >= 100 else f"{value:.3g}"
