"""Tokens that a team's own identity provider has issued, instead of ones that we sign.

A file of tokens is UTF-8 text with one token a line:

    # a comment, and empty lines
    TOKEN                  a user's JSON Web Token; its claim ``sub`` is the user's id
    USER TOKEN             a user's id and token of any format
    publish: TOKEN         the publisher's token, with the scope ``publish``

Virtual user 0 gets the first user's token, user 1 the second. When a token is about to expire,
the file is read again. Messages name lines and never quote them, because they hold secrets.

ValueError
└── TokensRefused    the file cannot be used; the message lists every problem with its line
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import jwt

from gateway.contract import USER_ID_PATTERN

RENEW_BEFORE_S: Final = 90.0
"""A gateway warns 60 s before a token's end; a newer token must be there by then."""
_RETRY_S: Final = 1.0
_MOST_PROBLEMS: Final = 10
_PUBLISH: Final = "publish:"


class TokensRefused(ValueError):  # noqa: N818 - the caller's mistake, in words
    """A file of tokens that cannot be used."""


@dataclass(frozen=True, slots=True)
class GivenToken:
    """One user's token; ``expires_unix_s`` is None for one that does not say."""

    user_id: str
    text: str = field(repr=False)
    expires_unix_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenList:
    """The content of a file: users in the order of lines, and the publisher's token or None."""

    users: tuple[GivenToken, ...]
    publisher: GivenToken | None

    def first_end_unix_s(self) -> float | None:
        """Return when the first of the tokens expires, wall clock; None when none says so."""
        tokens = (*self.users, *([self.publisher] if self.publisher else ()))
        ends_s = [one.expires_unix_s for one in tokens if one.expires_unix_s is not None]
        return min(ends_s, default=None)


def parse_tokens(text: str, name: str, unix_s: float) -> TokenList:
    """Return the tokens of a text.

    Args:
        text: one token a line, as the module describes.
        name: of the file, for messages.
        unix_s: the wall clock; a token that has expired by then is refused.

    Raises:
        TokensRefused: a line is wrong, or no line has a user's token.
    """
    lines: dict[str, int] = {}
    users: list[GivenToken] = []
    publisher: GivenToken | None = None
    problems: list[str] = []
    for number, line in _lines(text):
        try:
            found = _read_line(line, unix_s)
            if line.startswith(_PUBLISH):
                if publisher is not None:
                    raise TokensRefused("a second publish: line; keep one")
                publisher = found
                continue
            if found.user_id in lines:
                raise TokensRefused(f"its user has a token on line {lines[found.user_id]} already")
            lines[found.user_id] = number
            users.append(found)
        except TokensRefused as error:
            problems.append(f"{name}:{number}: {error}")
    if not users and not problems:
        problems.append(f"{name}: no line has a user's token; write TOKEN or USER TOKEN on each")
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        told = problems[:_MOST_PROBLEMS] + ([f"and {more} more lines"] if more > 0 else [])
        raise TokensRefused("\n".join(told))
    return TokenList(users=tuple(users), publisher=publisher)


def read_tokens(path: Path, unix_s: float, name: str = "") -> TokenList:
    """Return the tokens of a file.

    Args:
        path: the file.
        unix_s: as for ``parse_tokens``.
        name: of the file in messages; empty for its path.

    Raises:
        TokensRefused: it cannot be read, or its content is refused.
    """
    return parse_tokens(_read_text(path, name or str(path)), name or str(path), unix_s)


def read_single_token(path: Path) -> str:
    """Return the token that is the whole content of a file.

    Raises:
        TokensRefused: it cannot be read, or does not hold one word.
    """
    words = _read_text(path, str(path)).split()
    if len(words) != 1:
        raise TokensRefused(f"{path} holds {len(words)} words; it must hold the token alone")
    return words[0]


class GivenTokens:
    """The tokens of a file, read again before they expire.

    Args:
        path: the file.
        clock: returns wall-clock seconds; tests pass their own.

    Raises:
        TokensRefused: the file cannot be used.
    """

    secret: str | None = None

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._list = read_tokens(path, clock())
        self._changed_ns = path.stat().st_mtime_ns
        self._tried_s = clock()
        self.problems: list[str] = []

    @property
    def count(self) -> int:
        """How many users have a token."""
        return len(self._list.users)

    def user_id(self, index: int) -> str:
        """Return the id of a virtual user. Users beyond the tokens share them in turn."""
        return self._list.users[index % self.count].user_id

    def token(self, index: int) -> str:
        """Return the newest token of a virtual user."""
        self._renew()
        return self._list.users[index % self.count].text

    def probe(self) -> str:
        """Return a token for a connection that measures: the first user's."""
        return self.token(0)

    def publisher(self, lifetime_s: int) -> str | None:  # noqa: ARG002 - a provider decides it
        """Return the publisher's token; None when the file has none."""
        self._renew()
        return None if self._list.publisher is None else self._list.publisher.text

    def _renew(self) -> None:
        """Read the file again when a token is about to expire. A bad file leaves the old tokens."""
        end_s, now_s = self._list.first_end_unix_s(), self._clock()
        if end_s is None or end_s - now_s > RENEW_BEFORE_S or now_s - self._tried_s < _RETRY_S:
            return
        self._tried_s = now_s
        try:
            changed_ns = self._path.stat().st_mtime_ns
            if changed_ns == self._changed_ns:
                if end_s <= now_s:
                    self._note(f"a token has expired, and {self._path} is as before")
                return
            found = read_tokens(self._path, now_s)
        except (OSError, TokensRefused) as error:
            self._note(str(error))
            return
        self._changed_ns = changed_ns
        if [one.user_id for one in found.users] != [one.user_id for one in self._list.users]:
            self._note(f"{self._path} names other users than before; it must keep their order")
            return
        self._list = found

    def end_unix_s(self, index: int) -> float | None:
        """Return when the newest token of a virtual user expires; None when it does not say."""
        return self._list.users[index % self.count].expires_unix_s

    def _note(self, problem: str) -> None:
        words = f"the tokens were not renewed: {problem}"
        if words not in self.problems:
            self.problems.append(words)


def _read_text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TokensRefused(f"{name} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise TokensRefused(f"{name} is not UTF-8 text: byte {error.start} is wrong") from None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if content and not content.startswith("#"):
            yield number, content


def _read_line(line: str, unix_s: float) -> GivenToken:
    words = line.split()
    if words[0] == _PUBLISH:
        if len(words) != 2:
            raise TokensRefused("write one token after publish:")
        return _checked("", words[1], _claims(words[1]), unix_s)
    if len(words) > 2:
        raise TokensRefused(f"{len(words)} words; write TOKEN, USER TOKEN or publish: TOKEN")
    if len(words) == 2:
        return _checked(words[0], words[1], _claims(words[1]), unix_s)
    claims = _claims(line)
    sub = claims.get("sub")
    if not isinstance(sub, str):
        raise TokensRefused("not a JSON Web Token with the claim sub; write USER TOKEN")
    return _checked(sub, line, claims, unix_s)


def _checked(user_id: str, token: str, claims: Mapping[str, Any], unix_s: float) -> GivenToken:
    if user_id and not USER_ID_PATTERN.fullmatch(user_id):
        raise TokensRefused("its user id is not 1 to 128 of A-Z a-z 0-9 . _ @ | + = -")
    expires = claims.get("exp")
    expires_s = float(expires) if isinstance(expires, int | float) else None
    if expires_s is not None and expires_s <= unix_s:
        raise TokensRefused(f"its token expired {unix_s - expires_s:,.0f} s ago")
    return GivenToken(user_id, token, expires_s)


def _claims(token: str) -> Mapping[str, Any]:
    """Return a JSON Web Token's claims, whoever signed it; none for any other token."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return {}
    return claims
