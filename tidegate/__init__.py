"""Tidegate: a Socket.IO gateway for trading, market data and LLM streams, and its load laboratory.

``python -m tidegate`` is the command ``tidegate``. A program imports the names below::

    from tidegate import AsyncServer, read_scenario, read_run, judge

A name is imported on first use: ``import tidegate`` needs no extra and loads no other module.
``SocketIOUser`` is for Locust files alone, because it loads Locust, which patches its process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gateway import __version__

if TYPE_CHECKING:
    from gateway.server import Gateway
    from gateway.settings import Settings, read_settings
    from gateway.transport import AsyncServer
    from loadtests.user import SocketIOUser
    from reports import RunFrames, RunVerdict, judge, read_run
    from scenarios.schema import Scenario, parse_scenario, read_scenario

_HOMES = {
    "AsyncServer": "gateway.transport",
    "Gateway": "gateway.server",
    "RunFrames": "reports",
    "RunVerdict": "reports",
    "Scenario": "scenarios.schema",
    "Settings": "gateway.settings",
    "SocketIOUser": "loadtests.user",
    "judge": "reports",
    "parse_scenario": "scenarios.schema",
    "read_run": "reports",
    "read_scenario": "scenarios.schema",
    "read_settings": "gateway.settings",
}
_EXTRAS = {"loadtests": "loadtests", "reports": "reports"}
"""The extra that the names of a package need."""

__all__ = [
    "AsyncServer",
    "Gateway",
    "RunFrames",
    "RunVerdict",
    "Scenario",
    "Settings",
    "SocketIOUser",
    "__version__",
    "judge",
    "parse_scenario",
    "read_run",
    "read_scenario",
    "read_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    try:
        return getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(home.split(".", maxsplit=1)[0])
        if extra is None:
            raise
        words = f'tidegate.{name} needs {error.name}: pip install "tidegate[{extra}]"'
        raise ModuleNotFoundError(words, name=error.name) from None


def __dir__() -> list[str]:
    return sorted(__all__)
