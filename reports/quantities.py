"""Numbers as text with a fitting unit: times, sizes, counts, ratios."""

from __future__ import annotations

from typing import Final

SPANS: Final = (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000), ("ns", 1))
SIZES: Final = (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1))

ABSENT: Final = "–"


def _digits(number: float) -> str:
    """Return three significant digits without an exponent, with separated thousands."""
    size = abs(number)
    places = 0 if size >= 100 or float(number).is_integer() else 1 if size >= 10 else 2
    return f"{number:,.{places}f}"


def _scaled(number: float, scale: tuple[tuple[str, int], ...]) -> str:
    for unit, size in scale:
        if abs(number) >= size:
            return f"{_digits(number / size)} {unit}"
    return f"{_digits(number)} {scale[-1][0]}"


def span(value_ns: float | None) -> str:
    """Return ns as ``9.31 ms``; None as a dash, never as zero."""
    return ABSENT if value_ns is None else _scaled(value_ns, SPANS)


def size(value_bytes: float | None) -> str:
    """Return bytes as ``18.2 KB`` (1 KB is 1,024 B, as in a budget); None as a dash."""
    return ABSENT if value_bytes is None else _scaled(value_bytes, SIZES)


def count(value: float | None) -> str:
    """Return a count with separated thousands; None as a dash."""
    return ABSENT if value is None else f"{value:,.0f}"


def ratio(value: float | None) -> str:
    """Return a ratio to three digits: ``1.08``; None as a dash."""
    return ABSENT if value is None else f"{value:,.3g}"


def quantity(value: float | None, kind: str) -> str:
    """Return a value of a metric as text, by its kind (``scenarios.catalogue.Kind``)."""
    return {"quantiles": span, "span": span, "bytes": size, "ratio": ratio}.get(kind, count)(value)


def counted(number: int, noun: str) -> str:
    """Return ``1 client`` or ``300 clients``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def limit_span(value_ns: float) -> str:
    """Return a limit in ns without trailing zeros: ``10 ms``, not ``10.0 ms``."""
    for unit, step in SPANS:
        if abs(value_ns) >= step:
            return f"{value_ns / step:,.4g} {unit}"
    return "0"
