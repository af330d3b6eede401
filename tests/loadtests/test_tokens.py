from __future__ import annotations

import jwt
import pytest

from loadtests.tokens import forge, mint

SECRET = "s" * 32


def test_a_token_carries_the_user_and_ends_with_its_lifetime() -> None:
    token = mint(SECRET, "vu-7", lifetime_s=60, unix_s=1_000_000.9)
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_exp": False})
    assert claims == {"sub": "vu-7", "iat": 1_000_000, "exp": 1_000_060}


def test_scopes_are_separated_by_spaces() -> None:
    token = mint(SECRET, "lab", lifetime_s=60, scopes=["publish", "stats"])
    assert jwt.decode(token, SECRET, algorithms=["HS256"])["scope"] == "publish stats"


def test_another_secret_does_not_verify_it() -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(mint(SECRET, "vu-1", lifetime_s=60), "t" * 32, algorithms=["HS256"])


def test_a_forged_token_of_the_right_key_is_a_sound_one() -> None:
    token = forge(SECRET, {"sub": "vu-1"})
    assert jwt.decode(token, SECRET, algorithms=["HS256"]) == {"sub": "vu-1"}


@pytest.mark.parametrize(
    ("key", "algorithm", "parts"),
    [("", "none", 2), (SECRET, "RS256", 3)],
    ids=["unsigned", "under another name"],
)
def test_a_forged_token_claims_any_algorithm(key: str, algorithm: str, parts: int) -> None:
    token = forge(key, {"sub": "vu-1"}, algorithm=algorithm)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert len([part for part in token.split(".") if part]) == parts
