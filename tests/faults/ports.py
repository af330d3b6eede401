"""How a fault replaces a method of the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def wrap(owner: object, name: str, around: Callable[[Any], Callable[..., Any]]) -> None:
    """Replace a method of an object or class with the result of ``around``."""
    setattr(owner, name, around(getattr(owner, name)))
