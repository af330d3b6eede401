"""Whether a welcome and an acknowledgement answer what was asked. Pure.

An answer that belongs to another request or another user looks like a success. So each one is
compared with its request: the rooms with the channel and symbols, the end of a new token with
its ``exp``, the listed subscriptions with the rooms that the ledger has joined, the welcome with
the token's user and the connection's ``socket.id``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Set
from typing import Any, Final

from gateway.contract import ClientEvent, iso_timestamp, symbol_room

_Judge = Callable[[Mapping[str, Any], Mapping[str, Any]], str | None]


def mistake_in_answer(
    event: str, request: object, answer: object, held: Set[str] | None = None
) -> str | None:
    """Return what is wrong with the acknowledgement of a request that succeeded; None if nothing.

    Args:
        event: the request.
        request: its payload; None without one.
        answer: the acknowledgement.
        held: rooms of the user, for ``get-subscriptions``; None when they are unknown.
    """
    judge = _JUDGES.get(event)
    if judge is None:
        return None
    if not isinstance(answer, Mapping):
        return f"{event} was answered with {answer!r}"
    asked = request if isinstance(request, Mapping) else {}
    mistake = judge(asked, answer)
    if mistake is None and held is not None and event == ClientEvent.GET_SUBSCRIPTIONS:
        mistake = _differing("subscriptions", answer["subscriptions"], held)
    return None if mistake is None else f"{event}: {mistake}"


def mistake_in_welcome(welcome: Mapping[str, Any], user_id: str, sid: str) -> str | None:
    """Return what is wrong with the identity in a welcome; None if nothing.

    Args:
        welcome: its payload.
        user_id: ``sub`` of the token.
        sid: the connection's ``socket.id``.
    """
    for field, right in (("userId", user_id), ("clientId", sid)):
        if welcome.get(field) != right:
            return f"{field} is {welcome.get(field)!r}, not {right!r}"
    return None


def _judge_rooms(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    channel, symbols = str(asked.get("channel")), asked.get("symbols") or ()
    if answer.get("channel") != channel:
        return f"channel is {answer.get('channel')!r}, not {channel!r}"
    if answer.get("maxRate") != asked.get("maxRate"):
        return f"maxRate is {answer.get('maxRate')!r}, not {asked.get('maxRate')!r}"
    rooms = {symbol_room(symbol, channel) for symbol in symbols} or {channel}
    wrong = _differing("rooms", answer.get("rooms"), rooms)
    if wrong is None and symbols:
        wrong = _differing("symbols", answer.get("symbols"), set(symbols))
    return wrong


def _judge_list(_asked: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    rooms = answer.get("subscriptions")
    if not isinstance(rooms, list) or answer.get("count") != len(rooms):
        return f"count is {answer.get('count')!r} of {rooms!r}"
    return None


def _judge_pong(_asked: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    received, sent = answer.get("received"), answer.get("sent")
    if isinstance(received, int) and isinstance(sent, int) and received <= sent:
        return None
    return f"received is {received!r}, sent {sent!r}"


def _judge_refresh(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    right = iso_timestamp(_expires_unix_s(str(asked.get("token"))))
    if answer.get("expiresAt") == right:
        return None
    return f"expiresAt is {answer.get('expiresAt')!r}, not {right!r}"


def _judge_cancel(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    wanted, named = asked.get("sessionId"), answer.get("sessionId")
    return None if named == wanted else f"sessionId is {named!r}, not {wanted!r}"


_JUDGES: Final[Mapping[str, _Judge]] = {
    ClientEvent.SUBSCRIBE: _judge_rooms,
    ClientEvent.UNSUBSCRIBE: _judge_rooms,
    ClientEvent.GET_SUBSCRIPTIONS: _judge_list,
    ClientEvent.PING: _judge_pong,
    ClientEvent.TOKEN_REFRESH: _judge_refresh,
    ClientEvent.LLM_STREAM_CANCEL: _judge_cancel,
}


def _differing(field: str, found: object, right: Set[str]) -> str | None:
    """Return a text when a list does not hold exactly the right words, each once."""
    if isinstance(found, list) and sorted(map(str, found)) == sorted(right):
        return None
    return f"{field} is {found!r}, not {sorted(right)!r}"


def _expires_unix_s(token: str) -> float:
    """Return the claim ``exp`` of a token that was minted here (RFC 7519)."""
    claims = token.split(".")[1]
    content = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return float(content["exp"])
