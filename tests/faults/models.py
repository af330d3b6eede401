"""Faults of model streams: all wrap what sends the gateway's own events to clients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway.contract import LLM_TOKEN_EVENT
from gateway.server.app import Gateway
from tests.faults.ports import wrap

_ONE_IN: Final = 500

ToClients = Callable[[Sequence[str], str, Mapping[str, Any]], None]
Spoil = Callable[[ToClients, Sequence[str], Mapping[str, Any]], None]
"""Sends one token event, to those clients and with that payload, as the fault has it."""


def _spoil_some(gateway: Gateway, spoil: Spoil) -> None:
    numbers = itertools.count(1)

    def around(send: ToClients) -> ToClients:
        def sending(sids: Sequence[str], event: str, data: Mapping[str, Any]) -> None:
            if event == LLM_TOKEN_EVENT and not next(numbers) % _ONE_IN:
                spoil(send, sids, data)
            else:
                send(sids, event, data)

        return sending

    wrap(gateway.context.broadcaster, "to_clients", around)


def lose(gateway: Gateway) -> None:
    """Send one token event in 500 to nobody."""
    _spoil_some(gateway, lambda _send, _sids, _data: None)


def double(gateway: Gateway) -> None:
    """Send one token event in 500 twice."""

    def spoil(send: ToClients, sids: Sequence[str], data: Mapping[str, Any]) -> None:
        send(sids, LLM_TOKEN_EVENT, data)
        send(sids, LLM_TOKEN_EVENT, data)

    _spoil_some(gateway, spoil)


def misdirect(gateway: Gateway) -> None:
    """Send one token event in 500 to another client too."""

    def spoil(send: ToClients, sids: Sequence[str], data: Mapping[str, Any]) -> None:
        others = (each.sid for each in gateway.context.sessions if each.sid not in sids)
        send([*sids, *itertools.islice(others, 1)], LLM_TOKEN_EVENT, data)

    _spoil_some(gateway, spoil)


def shorten(gateway: Gateway) -> None:
    """Send one token in 500 without its last letter, under its right number."""

    def spoil(send: ToClients, sids: Sequence[str], data: Mapping[str, Any]) -> None:
        send(sids, LLM_TOKEN_EVENT, {**data, "token": data["token"][:-1]})

    _spoil_some(gateway, spoil)
