from __future__ import annotations

import jwt
import pytest

from loadtests.tokens import mint

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
