from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.locate import KeyPath, locate_keys

TEXT = '''# a comment with [brackets] and key = 1
top = "a = # no comment"
list = [ # one
  "first, with a comma",
  'second ] ',
  """third
over lines""",
]

[table.inner]
"quoted key" = { a = 1, b = [1, 2] }
number = 1_000 # after

[[many]]
x = 1
[[many]]
x = 2
[many.sub]
y = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("list", 0), 4),
        (("list", 1), 5),
        (("list", 2), 6),
        (("table", "inner"), 10),
        (("table", "inner", "quoted key"), 11),
        (("table", "inner", "quoted key", "b", 1), 11),
        (("table", "inner", "number"), 12),
        (("many", 0, "x"), 15),
        (("many", 1, "x"), 17),
        (("many", 1, "sub", "y"), 19),
    ],
    ids=str,
)
def test_each_key_is_found_on_its_line(path: KeyPath, line: int) -> None:
    tomllib.loads(TEXT)
    assert locate_keys(TEXT)[path] == line


@given(st.text(alphabet="ab=[]{}\"'#,.\n 1", max_size=80))
def test_any_text_is_walked_to_its_end(text: str) -> None:
    assert all(line >= 1 for line in locate_keys(text).values())
