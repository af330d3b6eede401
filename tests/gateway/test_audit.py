from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit import AuditChain, AuditEvent, read_line
from gateway.audit_check import MOST_PROBLEMS, AuditCheck

KEY = b"q3vX9mT2kL7pR4wZ8cN1bH6jF5dG0aYs"
NOON_NS = 1_800_000_000_000_000_000


def sealed(count: int, key: bytes = KEY) -> list[bytes]:
    chain = AuditChain(key)
    lines = [chain.seal(NOON_NS, AuditEvent.LOG_OPENED, {})]
    for number in range(count):
        facts = {"user": f"user-{number}", "address": "192.0.2.7", "reason": None}
        lines.append(chain.seal(NOON_NS + number, AuditEvent.AUTHENTICATED, facts))
    return lines


def checked(lines: list[bytes], *, key: bytes = KEY, is_stream: bool = False) -> AuditCheck:
    check = AuditCheck(key, is_stream=is_stream)
    for number, line in enumerate(lines, start=1):
        check.take(line, f"log:{number}")
    return check


def test_a_line_is_an_object_with_number_time_event_and_facts() -> None:
    line = json.loads(sealed(1)[1])
    assert len(line.pop("mac")) == 64
    assert line == {
        "n": 2,
        "time": "2027-01-15T08:00:00.000000Z",
        "event": "authenticated",
        "user": "user-0",
        "address": "192.0.2.7",
    }


def test_a_whole_log_has_no_problem() -> None:
    check = checked(sealed(50))
    assert (check.lines, check.problems) == (51, [])


@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    lines = sealed(4)
    place = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[place]) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != lines[place][at]))
    lines[place] = lines[place][:at] + bytes([other]) + lines[place][at + 1 :]
    assert checked(lines).problems


@given(st.integers(2, 12), st.data())
def test_any_removed_repeated_or_moved_line_is_found(count: int, data: st.DataObject) -> None:
    lines = sealed(count)
    order = data.draw(
        st.lists(st.integers(0, count), max_size=count + 3).filter(
            lambda order: order != list(range(len(order)))  # a cut end needs ``reaches``
        )
    )
    assert checked([lines[place] for place in order]).problems


def test_a_cut_end_is_found_by_a_number_known_from_elsewhere() -> None:
    check = checked(sealed(9)[:-3])
    assert check.problems == []
    check.reaches(10)
    assert check.problems == ["the log ends at line 7; lines 8 to 10 are missing"]


def test_a_torn_line_is_found() -> None:
    lines = sealed(3)
    lines[-1] = lines[-1][:40]
    assert checked(lines).problems == ["log:4: the last line is torn"]


def test_another_key_is_found_at_each_line_and_most_are_counted() -> None:
    check = checked(sealed(40), key=b"another-" + KEY)
    assert len(check.problems) == MOST_PROBLEMS
    assert check.more_problems == 41 - MOST_PROBLEMS


def test_a_changed_line_is_told_once_with_its_place() -> None:
    lines = sealed(5)
    lines[2] = lines[2].replace(b"user-1", b"user-7")
    assert checked(lines).problems == ["log:3: line 3 was changed, or has another key"]


def test_a_chain_goes_on_in_another_file_which_can_be_checked_alone() -> None:
    chain = AuditChain(KEY)
    first = [chain.seal(NOON_NS, AuditEvent.LOG_OPENED, {})]
    second = [
        chain.seal(NOON_NS, AuditEvent.LOG_CONTINUED, {"why": "rotation"}),
        chain.seal(NOON_NS, AuditEvent.AUTHENTICATED, {}),
    ]
    assert checked([*first, *second]).problems == []
    assert checked(second).problems == []
    assert checked(second[1:]).problems == ["log:1: line 3 follows a line that was not given"]


def test_on_a_stream_other_lines_and_new_starts_are_no_problem_and_in_a_file_they_are() -> None:
    lines = [*sealed(2), b'{"event":"listening"}\n', *sealed(2)]
    assert checked(lines, is_stream=True).problems == []
    assert checked(lines).problems == [
        "log:4: no line of an audit log",
        "log:5: a new chain begins after line 3",
    ]
    del lines[1]
    (problem,) = checked(lines, is_stream=True).problems
    assert problem == "log:2: lines 2 to 2 are missing before line 3"


def test_lost_events_are_summed_up() -> None:
    chain = AuditChain(KEY)
    lines = [chain.seal(NOON_NS, AuditEvent.LOG_OPENED, {})]
    lines += [chain.seal(NOON_NS, AuditEvent.LOG_LOST, {"count": 40}) for _ in range(2)]
    assert checked(lines).lost == 80


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"n":1}',
        b'{"n":' + b"[" * 100_000 + b',"mac":"' + b"0" * 64 + b'"}',
        b'{"n":true,"mac":"' + b"0" * 64 + b'"}',
        b'{"n":0,"mac":"' + b"0" * 64 + b'"}',
        b'{"n":1,"mac":"' + b"G" * 64 + b'"}',
    ],
    ids=["empty", "object", "no mac", "deep", "truth", "zero", "no hex"],
)
def test_what_has_not_the_form_of_a_line_is_none(line: bytes) -> None:
    assert read_line(line) is None
