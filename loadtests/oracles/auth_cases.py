"""Tokens that a gateway must accept or refuse, each with the correct answer. Pure.

The cases follow the contract's «Handshake», which has three refusals. Exactly one answer is
right for each case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.contract import (
    LEAST_SECRET_BYTES,
    MAX_TOKEN_BYTES,
    MAX_TOKEN_HOURS,
    TOKEN_LEEWAY_SECONDS,
    ErrorCode,
    Text,
)
from loadtests.results import AuthOutcome
from loadtests.tokens import forge

_LIFETIME_S: Final = 600
_BEYOND_S: Final = 60
"""Distance of a time from the allowed range, larger than any clock error."""
_HOUR_S: Final = 3_600
_MOST_ID: Final = 128
_STRANGER: Final = "not-the-gateways-key-" + "x" * LEAST_SECRET_BYTES


@dataclass(frozen=True, slots=True)
class ExpectedRefusal:
    """Content of a CONNECT_ERROR.

    Attributes:
        message: its ``message``.
        code: its ``data.code``.
    """

    message: str
    code: str


MISSING: Final = ExpectedRefusal(Text.AUTH_MISSING, ErrorCode.AUTH_MISSING)
FAILED: Final = ExpectedRefusal(Text.AUTH_FAILED, ErrorCode.AUTH_FAILED)
EXPIRED: Final = ExpectedRefusal(Text.AUTH_FAILED, ErrorCode.TOKEN_EXPIRED)


@dataclass(frozen=True, slots=True)
class Offer:
    """Credentials that a client sends in a handshake.

    Attributes:
        auth: payload of CONNECT; None sends none.
        query_token: ``token`` in the query; None sends none.
    """

    auth: object
    query_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Issuer:
    """Makes tokens for one user at one moment.

    Attributes:
        secret: the gateway's secret.
        user_id: the user.
        unix_s: the wall clock now, whole seconds.
        leeway_s: the gateway's tolerance for clock differences, seconds.
        longest_s: how far ahead ``exp`` may be, seconds.
    """

    secret: str
    user_id: str
    unix_s: int
    leeway_s: int = TOKEN_LEEWAY_SECONDS
    longest_s: int = MAX_TOKEN_HOURS * _HOUR_S

    def claims(self, **changed: object) -> dict[str, object]:
        """Return valid claims with the named ones changed; None removes a claim."""
        sound: dict[str, object] = {
            "sub": self.user_id,
            "iat": self.unix_s,
            "exp": self.unix_s + _LIFETIME_S,
        }
        return {name: value for name, value in (sound | changed).items() if value is not None}

    def token(self, **changed: object) -> str:
        """Return a correctly signed token with ``claims(**changed)``."""
        return forge(self.secret, self.claims(**changed))


@dataclass(frozen=True, slots=True)
class AuthCase:
    """One handshake and its correct answer.

    Attributes:
        name: name of the case in reports.
        offer: makes the client's credentials.
        refusal: the correct refusal; None where the gateway must accept the client.
    """

    name: str
    offer: Callable[[Issuer], Offer]
    refusal: ExpectedRefusal | None = None


def judge(case: AuthCase, answer: ExpectedRefusal | None, early_events: int) -> AuthOutcome:
    """Return the outcome of a case.

    Args:
        case: the case.
        answer: the refusal; None when the gateway accepted the client.
        early_events: number of events that an unaccepted client received, before or after
            the refusal.
    """
    if early_events:
        return AuthOutcome.EARLY_EVENT
    if case.refusal is None:
        return AuthOutcome.ACCEPTED if answer is None else AuthOutcome.FALSE_REFUSAL
    if answer is None:
        return AuthOutcome.FALSE_ACCEPT
    return AuthOutcome.REFUSED if answer == case.refusal else AuthOutcome.WRONG_CODE


def _in_auth(make: Callable[[Issuer], object]) -> Callable[[Issuer], Offer]:
    return lambda issuer: Offer({"token": make(issuer)})


def _claiming(make: Callable[[Issuer], Mapping[str, object]]) -> Callable[[Issuer], Offer]:
    return _in_auth(lambda issuer: issuer.token(**make(issuer)))


def _tampered(issuer: Issuer) -> str:
    """Return a token with another user's claims and the signature of the own ones."""
    _, _, signature = issuer.token().split(".")
    head, claims, _ = issuer.token(sub=f"{issuer.user_id}x").split(".")
    return f"{head}.{claims}.{signature}"


def _twice(issuer: Issuer) -> Offer:
    token = issuer.token()
    return Offer({"token": token}, token)


def _taken() -> Iterator[AuthCase]:
    """Yield the cases that the gateway must accept."""
    yield AuthCase("token in auth", _in_auth(Issuer.token))
    yield AuthCase("token in the query", lambda issuer: Offer(None, issuer.token()))
    yield AuthCase("same token in both", _twice)
    sound: Mapping[str, Callable[[Issuer], Mapping[str, object]]] = {
        "userId in place of sub": lambda i: {"sub": None, "userId": i.user_id},
        "userId equal to sub": lambda i: {"userId": i.user_id},
        "exp past, within the leeway": lambda i: {"exp": i.unix_s - i.leeway_s // 3},
        "nbf ahead, within the leeway": lambda i: {"nbf": i.unix_s + i.leeway_s // 3},
        "iat ahead, within the leeway": lambda i: {"iat": i.unix_s + i.leeway_s // 3},
        "exp as far ahead as may be": lambda i: {"exp": i.unix_s + i.longest_s - _BEYOND_S},
        "every character in sub": lambda _: {"sub": "A.z_0@|+=-"},
        "sub of 128": lambda _: {"sub": "a" * _MOST_ID},
    }
    for name, make in sound.items():
        yield AuthCase(name, _claiming(make))


def _without_token() -> Iterator[AuthCase]:
    """Yield the cases without a token: «absent, null or empty counts as none»."""
    offers: Mapping[str, Callable[[Issuer], Offer]] = {
        "no auth": lambda _: Offer(None),
        "auth empty": lambda _: Offer({}),
        "token null": lambda _: Offer({"token": None}),
        "token empty": lambda _: Offer({"token": ""}),
        "token empty in the query": lambda _: Offer(None, ""),
    }
    for name, offer in offers.items():
        yield AuthCase(name, offer, MISSING)


def _unsound() -> Iterator[AuthCase]:
    """Yield tokens that this gateway did not sign, or did not sign in this form."""
    makers: Mapping[str, Callable[[Issuer], object]] = {
        "garbage": lambda _: "no.token.atall",
        "token a number": lambda _: 7,
        "another key": lambda i: forge(_STRANGER, i.claims()),
        "claims changed after signing": _tampered,
        "alg none": lambda i: forge("", i.claims(), algorithm="none"),
        "alg none with a signature": lambda i: forge(i.secret, i.claims(), algorithm="none"),
        "alg RS256 with an HMAC": lambda i: forge(i.secret, i.claims(), algorithm="RS256"),
        "HS512": lambda i: forge(i.secret, i.claims(), algorithm="HS512", digest="sha512"),
        "over 4 KiB": lambda i: i.token(pad="x" * MAX_TOKEN_BYTES),
    }
    for name, make in makers.items():
        yield AuthCase(name, _in_auth(make), FAILED)
    yield AuthCase(
        "auth and query differ",
        lambda issuer: Offer({"token": issuer.token()}, issuer.token(email="e@example.com")),
        FAILED,
    )


def _unfounded() -> Iterator[AuthCase]:
    """Yield correctly signed tokens with invalid claims."""
    claims: Mapping[str, Callable[[Issuer], Mapping[str, object]]] = {
        "no exp": lambda _: {"exp": None},
        "exp a text": lambda i: {"exp": str(i.unix_s + _LIFETIME_S)},
        "exp too far ahead": lambda i: {"exp": i.unix_s + i.longest_s + i.leeway_s + _BEYOND_S},
        "nbf in the future": lambda i: {"nbf": i.unix_s + i.leeway_s + _BEYOND_S},
        "iat in the future": lambda i: {"iat": i.unix_s + i.leeway_s + _BEYOND_S},
        "no sub": lambda _: {"sub": None},
        "sub empty": lambda _: {"sub": ""},
        "sub a number": lambda _: {"sub": 5},
        "sub with a space": lambda _: {"sub": "a b"},
        "sub with a line end": lambda i: {"sub": f"{i.user_id}\n"},
        "sub of another script": lambda _: {"sub": "пользователь"},
        "sub of 129": lambda _: {"sub": "a" * (_MOST_ID + 1)},
        "sub other than userId": lambda i: {"userId": f"{i.user_id}x"},
    }
    for name, make in claims.items():
        yield AuthCase(name, _claiming(make), FAILED)


def _outdated() -> Iterator[AuthCase]:
    """Yield expired tokens: TOKEN_EXPIRED «when all but the time was right»."""
    yield AuthCase(
        "expired", _claiming(lambda i: {"exp": i.unix_s - i.leeway_s - _BEYOND_S}), EXPIRED
    )
    yield AuthCase(
        "expired and of another key",
        _in_auth(lambda i: forge(_STRANGER, i.claims(exp=i.unix_s - i.leeway_s - _BEYOND_S))),
        FAILED,
    )


CASES: Final[tuple[AuthCase, ...]] = (
    *_taken(),
    *_without_token(),
    *_unsound(),
    *_unfounded(),
    *_outdated(),
)
"""Every case, grouped by its correct answer."""
