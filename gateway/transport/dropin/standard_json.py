"""The standard library's JSON, held to the standard: no NaN and no infinity, either way.

What an application is given that brings no JSON module of its own. Everything else is as
``json`` has it: integers of any size, keys that are not strings, tuples.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: no JSON, or NaN, an infinity or a number that overflows in it.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def dumps(value: object, **options: Any) -> str:
    """Return a value as JSON text; the options are ``json.dumps``'s.

    Raises:
        TypeError: JSON has no such type.
        ValueError: JSON has no such number, or the value contains itself.
    """
    return json.dumps(value, **{**options, "allow_nan": False})


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that overflows")
    return number
