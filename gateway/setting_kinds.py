"""``Setting``: one environment variable, and makers of settings by the unit of their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.values import decimal, whole


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable.

    Attributes:
        variable: its name.
        field: the field of ``Settings``.
        default: the default as text, empty for none.
        unit: the unit of the value.
        consequence: its effect, for the documentation.
        parse: returns the value of a text, or raises ValueError with what would be right.
            ``None`` if the value depends on other variables.
        has_file: whether the variable ``NAME_FILE`` may name a file that holds the value.
    """

    variable: str
    field: str
    default: str
    unit: str
    consequence: str
    parse: Callable[[str], Any] | None = None
    has_file: bool = False

    @property
    def file_variable(self) -> str:
        """The variable that names a file with the value."""
        return f"{self.variable}_FILE"


def event_limit(name: str, default: int, consequence: str) -> Setting:
    """Return the setting of a number of events.

    Args:
        name: the variable, without ``GATEWAY_``; in small letters it is the field.
        default: the default.
        consequence: the effect, for the documentation.
    """
    return Setting(f"GATEWAY_{name}", name.lower(), str(default), "events", consequence, whole(1))


def count(name: str, default: int, consequence: str) -> Setting:
    """Return the setting of a number of things.

    Args:
        name: the variable, without ``GATEWAY_``; in small letters it is the field.
        default: the default.
        consequence: the effect, for the documentation.
    """
    parse = whole(1, 10_000_000)
    return Setting(f"GATEWAY_{name}", name.lower(), str(default), "count", consequence, parse)


def size(name: str, default: int, consequence: str, most: int) -> Setting:
    """Return the setting of a number of bytes.

    Args:
        name: the variable, without ``GATEWAY_``; in small letters it is the field.
        default: the default.
        consequence: the effect, for the documentation.
        most: the largest number.
    """
    parse = whole(1_024, most)
    return Setting(f"GATEWAY_{name}", name.lower(), str(default), "bytes", consequence, parse)


def seconds(
    name: str,
    default: float,
    consequence: str,
    *,
    least: float = 0.05,
    most: float = 86_400,
    can_be_zero: bool = False,
) -> Setting:
    """Return the setting of a number of seconds.

    Args:
        name: the variable, without ``GATEWAY_``; in small letters it is the field.
        default: the default.
        consequence: the effect, for the documentation.
        least: the smallest number.
        most: the largest number.
        can_be_zero: whether 0 is a number too, although it is less than the least.
    """
    parse = decimal(least, most, can_be_zero=can_be_zero)
    return Setting(f"GATEWAY_{name}", name.lower(), f"{default:g}", "s", consequence, parse)
