"""The one way in which a fault takes the place of a part's own doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def wrap(owner: object, name: str, around: Callable[[Any], Callable[..., Any]]) -> None:
    """Put in the place of an object's method, or a class's, what ``around`` makes of it."""
    setattr(owner, name, around(getattr(owner, name)))
