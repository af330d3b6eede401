from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtests.given_tokens import (
    GivenTokens,
    TokensRefused,
    parse_tokens,
    read_single_token,
    read_tokens,
)
from loadtests.tokens import mint

NOW_S = 1_000_000.0
SECRET = "s" * 32


def token(user: str = "u1", lifetime_s: int = 3_600, unix_s: float = NOW_S) -> str:
    return mint(SECRET, user, lifetime_s=lifetime_s, unix_s=unix_s)


def test_a_line_is_a_token_or_a_user_and_its_token_or_the_publishers() -> None:
    text = f"# staging\n\n{token('ada')}\n  bob   opaque-token\npublish: {token('lab')}\n"
    found = parse_tokens(text, "t", NOW_S)
    assert [one.user_id for one in found.users] == ["ada", "bob"]
    assert [one.text for one in found.users] == [token("ada"), "opaque-token"]
    assert [one.expires_unix_s for one in found.users] == [NOW_S + 3_600, None]
    assert found.publisher is not None
    assert found.publisher.text == token("lab")


def test_the_first_end_is_that_of_any_token() -> None:
    text = f"{token('a')}\n{token('b', 60)}\npublish: {token('lab', 30)}"
    assert parse_tokens(text, "t", NOW_S).first_end_unix_s() == NOW_S + 30
    assert parse_tokens("bob opaque", "t", NOW_S).first_end_unix_s() is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("opaque", "not a JSON Web Token with the claim sub; write USER TOKEN"),
        ("a b c", "3 words; write TOKEN, USER TOKEN or publish: TOKEN"),
        ("publish: a b", "write one token after publish:"),
        ("publish:", "write one token after publish:"),
        (token("u2", 60, NOW_S - 100), "its token expired 40 s ago"),
        ("bad/user opaque", "its user id is not 1 to 128 of A-Z a-z 0-9 . _ @ | + = -"),
        (token("u1"), "its user has a token on line 1 already"),
    ],
    ids=["opaque", "words", "publisher", "no publisher", "expired", "user id", "twice"],
)
def test_a_bad_line_is_named_by_its_number_and_never_quoted(line: str, words: str) -> None:
    with pytest.raises(TokensRefused) as refused:
        parse_tokens(f"{token('u1')}\n{line}\n", "tokens.txt", NOW_S)
    assert str(refused.value) == f"tokens.txt:2: {words}"


def test_every_bad_line_is_told_at_once_and_no_more_than_ten() -> None:
    with pytest.raises(TokensRefused) as refused:
        parse_tokens("a b c\n" * 25, "t", NOW_S)
    lines = str(refused.value).splitlines()
    assert len(lines) == 11
    assert lines[9].startswith("t:10:")
    assert lines[10] == "and 15 more lines"


@pytest.mark.parametrize("text", ["", "# nothing\n", f"publish: {token('lab')}\n"])
def test_a_file_without_users_is_refused(text: str) -> None:
    with pytest.raises(TokensRefused, match="no line has a user's token"):
        parse_tokens(text, "t", NOW_S)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokensRefused, match=r"gone cannot be read: No such file"):
        read_tokens(tmp_path / "gone", NOW_S)
    (tmp_path / "bytes").write_bytes(b"ab\xff")
    with pytest.raises(TokensRefused, match=r"bytes is not UTF-8 text: byte 2 is wrong"):
        read_tokens(tmp_path / "bytes", NOW_S)


def test_a_single_token_is_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    path.write_text(" secret-word\n")
    assert read_single_token(path) == "secret-word"
    path.write_text("two words")
    with pytest.raises(TokensRefused, match="holds 2 words; it must hold the token alone"):
        read_single_token(path)


class Given:
    """Given tokens over a file and a clock that a test sets."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.now_s = NOW_S
        self._writes = 0
        self.write(text)
        self.tokens = GivenTokens(path, lambda: self.now_s)

    def write(self, text: str) -> None:
        self._writes += 1
        self.path.write_text(text)
        os.utime(self.path, (self._writes, self._writes))


def test_users_have_their_lines_in_order_and_share_when_there_are_more(tmp_path: Path) -> None:
    given = Given(tmp_path / "t", f"{token('a')}\n{token('b')}\n")
    assert given.tokens.count == 2
    assert [given.tokens.user_id(n) for n in range(3)] == ["a", "b", "a"]
    assert given.tokens.token(1) == token("b")
    assert given.tokens.probe() == token("a")
    assert given.tokens.publisher(60) is None
    assert given.tokens.secret is None


def test_a_token_about_to_expire_is_read_anew(tmp_path: Path) -> None:
    given = Given(tmp_path / "t", token("a", 200))
    newer = token("a", 1_000)
    given.write(newer)
    assert given.tokens.token(0) == token("a", 200)  # there is time
    given.now_s += 150
    assert given.tokens.token(0) == newer
    assert given.tokens.problems == []


def test_a_file_that_turns_bad_leaves_the_old_tokens_and_says_so_once(tmp_path: Path) -> None:
    given = Given(tmp_path / "t", token("a", 200))
    given.write("a b c")
    for _ in range(3):
        given.now_s += 50
        assert given.tokens.token(0) == token("a", 200)
    (problem,) = given.tokens.problems
    assert problem.startswith("the tokens were not renewed: ")
    assert problem.endswith("t:1: 3 words; write TOKEN, USER TOKEN or publish: TOKEN")


def test_other_users_than_before_are_refused(tmp_path: Path) -> None:
    given = Given(tmp_path / "t", token("a", 60))
    given.write(token("b", 999))
    given.now_s += 5
    assert given.tokens.user_id(0) == "a"
    given.tokens.token(0)
    assert "names other users than before" in given.tokens.problems[0]


def test_a_file_that_nobody_renewed_is_told_when_a_token_has_expired(tmp_path: Path) -> None:
    given = Given(tmp_path / "t", token("a", 60))
    given.now_s += 30
    given.tokens.token(0)
    assert given.tokens.problems == []
    given.now_s += 31
    given.tokens.token(0)
    assert "a token has expired" in given.tokens.problems[0]


def test_no_description_shows_a_token(tmp_path: Path) -> None:
    given = Given(tmp_path / "t", token("a"))
    (one,) = read_tokens(given.path, NOW_S).users
    assert token("a") not in repr(one)
