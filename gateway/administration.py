"""The bodies of the ``admin`` routes: which clients to disconnect, which tokens to revoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gateway import strict_json
from gateway.contract import USER_ID_PATTERN
from gateway.errors import InvalidPayload, NotStrictJson

_LONGEST_CLIENT_ID: Final = 256


@dataclass(frozen=True, slots=True)
class Disconnection:
    """The clients to disconnect: those of a user, or one client.

    Attributes:
        user_id: the user, ``None`` where a client is named.
        client_id: the client, ``None`` where a user is named.
    """

    user_id: str | None
    client_id: str | None


@dataclass(frozen=True, slots=True)
class Revocation:
    """The tokens to revoke.

    Attributes:
        user_id: their user.
        issued_before: those with an earlier ``iat``, Unix s.
    """

    user_id: str
    issued_before: float


def parse_disconnection(body: bytes) -> Disconnection:
    """Return the clients of a body ``{userId}`` or ``{clientId}``.

    Raises:
        InvalidPayload: the body has another shape.
    """
    fields = _object(body, "userId", "clientId")
    if len(fields) != 1:
        raise InvalidPayload("name one of userId and clientId")
    if "userId" in fields:
        return Disconnection(_user_id(fields), None)
    client_id = fields["clientId"]
    if not strict_json.is_text(client_id) or not 0 < len(client_id) <= _LONGEST_CLIENT_ID:
        raise InvalidPayload(f"clientId must be a text of 1 to {_LONGEST_CLIENT_ID} characters")
    return Disconnection(None, client_id)


def parse_revocation(body: bytes, latest: float) -> Revocation:
    """Return the tokens of a body ``{userId, issuedBefore}``.

    Args:
        body: the body.
        latest: the latest moment that may be named, Unix s.

    Raises:
        InvalidPayload: the body has another shape, or the moment lies in the future.
    """
    fields = _object(body, "userId", "issuedBefore")
    moment = fields.get("issuedBefore")
    if isinstance(moment, bool) or not isinstance(moment, int | float) or moment < 0:
        raise InvalidPayload("issuedBefore must be a time in Unix seconds, as iat is")
    if moment > latest:
        raise InvalidPayload("issuedBefore must not be in the future; it is in Unix seconds")
    return Revocation(_user_id(fields), moment)


def require_empty(body: bytes) -> None:
    """Check that a body is empty or ``{}``.

    Raises:
        InvalidPayload: it is not.
    """
    if body:
        _object(body)


def _object(body: bytes, *names: str) -> dict[str, Any]:
    """Return the fields of an object that has no others than those named."""
    try:
        fields = strict_json.loads(body)
    except NotStrictJson as error:
        raise InvalidPayload(str(error)) from None
    shape = f"the body must be an object {{{', '.join(names)}}}"
    if not isinstance(fields, dict):
        raise InvalidPayload(shape)
    if not fields.keys() <= set(names):
        raise InvalidPayload(f"{shape} without other fields")
    return fields


def _user_id(fields: dict[str, Any]) -> str:
    user_id = fields.get("userId")
    if not isinstance(user_id, str) or not USER_ID_PATTERN.fullmatch(user_id):
        raise InvalidPayload("userId must be a user's id, as a token's sub is")
    return user_id
