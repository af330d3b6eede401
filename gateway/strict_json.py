"""JSON that every parser reads alike: ``loads`` and ``dumps`` are strict, ``read`` is tolerant.

They use orjson, and refuse two things more: incoming integers over 64 bits, which orjson
reads as floats, and outgoing NaN and infinities, which orjson writes as ``null``. What a
client sends is read by ``read``: all JSON is grammatical there, whoever can use it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final, NoReturn, TypeGuard

import orjson

from gateway.errors import NotStrictJson

_STRICT: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
# The shortest integer that does not fit has 19 digits (below −2⁶³).
_LONG_NUMBER: Final = b"0" * 19
_DIGITS_ALIKE: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_LEAST: Final = -(2**63)
_MOST: Final = 2**64 - 1
_LONGEST: Final = 20  # characters of an integer within these bounds
_LONGEST_FLOAT: Final = 400  # digits beyond which a number is infinite anyway


def loads(text: str | bytes | bytearray) -> Any:
    """Return the value of a JSON text.

    Raises:
        NotStrictJson: the text is no JSON, or holds NaN, an infinity, an integer over 64 bits
            or a lone surrogate.
    """
    try:
        value = orjson.loads(text)
    except ValueError as error:
        raise NotStrictJson(f"not strict JSON: {error}") from None
    raw = text.encode() if isinstance(text, str) else text
    # Digits become zeros, other bytes spaces: ten times faster than a regular expression.
    if _LONG_NUMBER in raw.translate(_DIGITS_ALIKE):
        _refuse_long_integers(text)
    return value


def read(text: str | bytes | bytearray) -> Any:
    """Return the value of a JSON text as JavaScript reads it.

    Numbers over 64 bits or the range of a float become floats, possibly infinite. A string may
    hold a lone surrogate: check with ``is_text`` what is to be sent on.

    Raises:
        NotStrictJson: the text is no JSON, or nested too deeply.
    """
    try:
        return orjson.loads(text)
    except ValueError:
        pass
    try:
        decoded = text if isinstance(text, str) else text.decode()
        return json.loads(decoded, parse_int=_read_int, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(f"not JSON: {type(error).__name__}") from None


def is_text(value: object) -> TypeGuard[str]:
    """Return whether a value is a string that JSON can hold: without a lone surrogate."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def dumps(value: object, **_options: object) -> str:
    """Return a value as JSON text.

    Args:
        value: made of dict, list, tuple, str, int, float, bool, ``None`` and string enums.
        **_options: options of the standard module, such as ``separators``. They are ignored:
            the text is always compact.

    Raises:
        NotStrictJson: JSON cannot hold the value.
    """
    try:
        encoded = orjson.dumps(value, default=_refuse, option=_STRICT)
    except TypeError as error:
        encoded = _encode_again(value, error)
    if b"null" in encoded:  # orjson writes NaN and infinities as null
        for number in _floats(value):
            if not math.isfinite(number):
                raise NotStrictJson(f"JSON cannot hold {number}; leave the field out")
    return encoded.decode()


def _encode_again(value: object, error: TypeError) -> bytes:
    """Return a value with enum members as keys, which orjson takes only with OPT_NON_STR_KEYS."""
    if not _has_enum_keys(value):
        raise _cannot_hold(error) from None
    try:
        return orjson.dumps(value, default=_refuse, option=_STRICT | orjson.OPT_NON_STR_KEYS)
    except TypeError as again:
        raise _cannot_hold(again) from None


def _cannot_hold(error: TypeError) -> NotStrictJson:
    return NotStrictJson(f"JSON cannot hold this: {error.__cause__ or error}")


def _refuse(value: object) -> object:
    raise NotStrictJson(
        f"JSON has no {type(value).__name__}; pass a string, or a float if that is meant"
    )


def _refuse_long_integers(text: str | bytes | bytearray) -> None:
    try:
        json.loads(text, parse_int=_parse_int)
    except RecursionError:
        raise NotStrictJson("not strict JSON: nested too deeply") from None


def _parse_int(digits: str) -> int:
    if len(digits) > _LONGEST or not _LEAST <= int(digits) <= _MOST:
        raise NotStrictJson("not strict JSON: an integer over 64 bits; write it as a string")
    return int(digits)


def _read_int(digits: str) -> int | float:
    if len(digits) <= _LONGEST and _LEAST <= (number := int(digits)) <= _MOST:
        return number
    return float(digits[:_LONGEST_FLOAT])


def _refuse_constant(name: str) -> NoReturn:
    raise NotStrictJson(f"JSON has no {name}")


def _walk(value: object) -> Iterator[object]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        yield item
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)


def _floats(value: object) -> Iterator[float]:
    return (item for item in _walk(value) if isinstance(item, float))


def _has_enum_keys(value: object) -> bool:
    keys = [key for item in _walk(value) if isinstance(item, dict) for key in item]
    return all(isinstance(key, str) for key in keys) and any(type(key) is not str for key in keys)
