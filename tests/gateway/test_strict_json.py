from __future__ import annotations

import dataclasses
import datetime as dt
import math
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import strict_json
from gateway.errors import NotStrictJson

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=12,
)


class Colour(StrEnum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int


@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert strict_json.loads(strict_json.dumps(value)) == value
    assert strict_json.loads(strict_json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        '{"a":-1e999}',
        "18446744073709551616",
        "[-9223372036854775809]",
        '{"a":' + "9" * 5_000 + "}",
        '"\\ud800"',
        '"\ud800"',
        "{'a':1}",
        "[1,]",
        "",
        "[" * 2_000,
    ],
)
def test_text_that_is_not_strict_is_refused(text: str) -> None:
    with pytest.raises(NotStrictJson):
        strict_json.loads(text)


def test_text_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(NotStrictJson):
        strict_json.loads(b'"\xff"')


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 1_234_567_890_123_456_789])
def test_integers_of_64_bits_stay_exact(number: int) -> None:
    assert strict_json.loads(f'{{"a":{number}}}') == {"a": number}


def test_long_digits_in_a_string_are_no_number() -> None:
    assert (
        strict_json.loads('"123456789012345678901234567890"')
        == "1" + "23456789012345678901234567890"
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": [None, math.nan]}, id="nan"),
        pytest.param([{"a": math.inf}], id="infinity"),
        pytest.param((-math.inf,), id="minus infinity in a tuple"),
        pytest.param({"a": Decimal("1.5")}, id="decimal"),
        pytest.param(2**64, id="over 64 bits"),
        pytest.param({1: 2}, id="integer key"),
        pytest.param({Colour.RED: 1, 2: 3}, id="enum and integer keys"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), id="datetime"),
        pytest.param(Point(1), id="dataclass"),
        pytest.param({1, 2}, id="set"),
    ],
)
def test_a_value_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(NotStrictJson):
        strict_json.dumps(value)


def test_the_refusal_of_a_decimal_says_what_would_be_right() -> None:
    with pytest.raises(NotStrictJson, match="no Decimal; pass a string"):
        strict_json.dumps({"price": Decimal("1.5")})


def test_string_enums_are_keys_and_values() -> None:
    assert strict_json.dumps({Colour.RED: Colour.RED}) == '{"red":"red"}'


def test_null_itself_passes() -> None:
    assert strict_json.dumps({"a": None, "b": 1.5}, separators=(",", ":")) == '{"a":null,"b":1.5}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775809", -(2.0**63)),
        ("1e999", math.inf),
        ("-" + "9" * 900_000, -math.inf),
        ('"\\ud800"', "\ud800"),
        ('{"a":["\\ud83d\\ude00",1e999]}', {"a": ["😀", math.inf]}),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode(),
)
def test_what_a_client_sends_is_read_as_javascript_reads_it(text: str, value: Any) -> None:
    assert strict_json.read(text) == value
    assert strict_json.read(text.encode()) == value


@pytest.mark.parametrize(
    "text", ["NaN", "[-Infinity]", "[1,]", "", "[" * 2_000, '["\\ud800",NaN]', '"\ud800"'[:2]]
)
def test_what_is_no_json_is_not_read(text: str) -> None:
    with pytest.raises(NotStrictJson):
        strict_json.read(text)


def test_bytes_that_are_no_utf_8_are_not_read() -> None:
    for raw in (b'"\xed\xa0\x80"', b'"\xff"', '"a"'.encode("utf-16")):
        with pytest.raises(NotStrictJson):
            strict_json.read(raw)


@pytest.mark.parametrize(
    ("value", "is_text"), [("", True), ("é😀", True), ("a\ud83d", False), (5, False), (None, False)]
)
def test_a_text_is_a_string_that_json_can_hold(value: object, is_text: bool) -> None:
    assert strict_json.is_text(value) is is_text
