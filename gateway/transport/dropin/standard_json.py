"""The standard library's JSON without NaN and infinities, in both directions.

It is the default of applications that bring no JSON module. Everything else is as in
``json``: integers of any size, keys that are not strings, tuples. A number that overflows is
read as infinite, which cannot be written.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: the text is no JSON, or holds NaN or an infinity.
    """
    return json.loads(text, parse_constant=_refuse)


def dumps(value: object, **options: Any) -> str:
    """Return a value as JSON text. The options are those of ``json.dumps``.

    Raises:
        TypeError: JSON has no such type.
        ValueError: JSON has no such number, or the value contains itself.
    """
    return json.dumps(value, **{**options, "allow_nan": False})


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
