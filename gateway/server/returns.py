"""Returning clients: what they say when they connect, and the private events that they missed."""

from __future__ import annotations

from typing import Final

from gateway.contract import ResyncReason, ServerEvent
from gateway.server.context import Context
from gateway.session import Returning, Session
from gateway.transport import Lane

_END: Final = b"}]"  # of a packet whose only argument is an object with fields
_REPLAYED_END: Final = b',"replayed":true}]'


def returning_of(auth: object) -> Returning | None:
    """Return what the payload of CONNECT says, ``None`` if it names no ``lastUserSeq``."""
    if not isinstance(auth, dict) or auth.get("lastUserSeq") is None:
        return None
    return Returning(auth["lastUserSeq"], auth.get("epoch"))


def replay(context: Context, session: Session, returning: Returning) -> None:
    """Send a client the private events that it missed, or ``resync`` if they are not all held.

    Call it after the welcome and before the client enters its user's room, in one step.

    Args:
        context: the parts of the gateway.
        session: the client.
        returning: what it said.
    """
    missed = _missed(context, session.identity.user_id, returning)
    if isinstance(missed, ResyncReason):
        tell_resync(context, session, missed)
        return
    for packet in missed:
        context.transport.reply_encoded(session.sid, packet.removesuffix(_END) + _REPLAYED_END)


def tell_resync(context: Context, session: Session, reason: ResyncReason) -> None:
    """Tell a client that it may lack events, so that it fetches its state anew.

    Args:
        context: the parts of the gateway.
        session: the client.
        reason: why.
    """
    payload = {
        "reason": reason,
        "userSeq": context.streams.last_user(session.identity.user_id),
        "epoch": context.streams.epoch,
        "timestamp": context.broadcaster.timestamp(),
    }
    # Behind the events before it: their numbers may be those of another epoch.
    context.transport.reply_behind(
        session.sid, ServerEvent.RESYNC, payload, Lane.LOSSLESS, lambda: None
    )


def _missed(context: Context, user_id: str, returning: Returning) -> list[bytes] | ResyncReason:
    number = returning.number
    if returning.epoch != context.streams.epoch:
        return ResyncReason.EPOCH
    if type(number) is not int or not 0 <= number <= context.streams.last_user(user_id):
        return ResyncReason.INVALID
    missed = context.broker.missed(user_id, number)
    return ResyncReason.NOT_HELD if missed is None else missed
