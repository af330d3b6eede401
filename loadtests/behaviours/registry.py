"""The user class of each group of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from loadtests.behaviours.virtual_user import VirtualUser
from scenarios.schema import GROUPS


def find_behaviour(group: str) -> type[VirtualUser]:
    """Return the behaviour of a group: the class of that ``group`` in the module of its name.

    Raises:
        LookupError: the module has no such class.
    """
    module = import_module(f"{__package__}.{group}")
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, VirtualUser) and found.group == group:
            return found
    raise LookupError(f'{module.__name__} has no VirtualUser with group = "{group}"')


BEHAVIOURS: Final[Mapping[str, type[VirtualUser]]] = {
    group: find_behaviour(group) for group in GROUPS
}
"""By the group's name in ``[users]``."""
