from __future__ import annotations

from gateway.limits.log_lines import LogLines

S = 1_000_000_000


def test_the_first_lines_of_a_window_are_admitted_and_the_others_counted() -> None:
    lines = LogLines()
    assert [lines.admit("breach", S) for _ in range(21)] == [0] * 20 + [None]
    assert lines.admit("breach", 10 * S) is None
    assert lines.admit("breach", 11 * S) == 2
    assert lines.admit("breach", 11 * S) == 0


def test_each_kind_has_lines_of_its_own() -> None:
    lines = LogLines()
    for _ in range(30):
        lines.admit("breach", 0)
    assert lines.admit("refusal", 0) == 0


def test_what_was_left_out_is_told_once_after_its_window() -> None:
    lines = LogLines()
    for _ in range(25):
        lines.admit("breach", 0)
    assert lines.take_left_out(9 * S) == {}
    assert lines.take_left_out(10 * S) == {"breach": 5}
    assert lines.take_left_out(20 * S) == {}
    assert lines.admit("breach", 20 * S) == 0
