"""A writer of lines never waits for its reader, and counts each line that it drops."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from deadlines import DEADLINE_S, until

from gateway.server.lines import LineWriter

LINE = b"x" * 99 + b"\n"


class Pipe:
    """A pipe whose reader reads only when told."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.read_so_far = b""

    def read(self) -> bytes:
        """Read what there is, and return all that was read so far."""
        with contextlib.suppress(BlockingIOError):
            self.read_so_far += os.read(self.reading, 1 << 20)
        return self.read_so_far


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for descriptor in (made.reading, made.writing):
        os.close(descriptor)


def note(count: int) -> bytes:
    return b"dropped %d\n" % count


def told(read: bytes) -> list[int]:
    """Return the counts of the lines about dropped lines."""
    return [int(line.split()[1]) for line in read.splitlines() if line.startswith(b"dropped ")]


def test_lines_arrive_whole_and_in_order(pipe: Pipe) -> None:
    lines = LineWriter(pipe.writing)
    written = [b"%d\n" % number for number in range(1_000)]
    for line in written:
        lines.write(line)
    lines.close(DEADLINE_S)
    assert pipe.read() == b"".join(written)
    assert lines.dropped == 0


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_reader_that_stops_costs_lines_and_no_time(pipe: Pipe, is_blocking: bool) -> None:
    os.set_blocking(pipe.writing, is_blocking)
    lines = LineWriter(pipe.writing, note, most_bytes=100_000)
    for _ in range(10_000):  # a megabyte; a pipe and the queue hold 166 KB
        lines.write(LINE)
    dropped = lines.dropped
    assert dropped > 8_000
    until(lambda: sum(told(pipe.read())) == dropped, "lines about the dropped lines")
    lines.write(LINE)
    # The queue may still hold more than the pipe does, so the reader has to go on.
    until(lambda: pipe.read().count(LINE) == 10_000 - dropped + 1, "the lines that were kept")
    lines.close(DEADLINE_S)
    assert lines.dropped == dropped


def test_a_stream_that_fails_costs_its_lines() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        lines = LineWriter(full, note)
        for _ in range(5):
            lines.write(LINE)
        lines.close(DEADLINE_S)
        assert lines.dropped == 5
    finally:
        os.close(full)


def test_a_reader_that_is_gone_costs_the_lines(pipe: Pipe) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        lines = LineWriter(writing)
        lines.write(LINE + LINE)
        lines.close(DEADLINE_S)
        assert lines.dropped == 2
    finally:
        os.close(writing)


def test_a_line_that_was_written_in_part_does_not_run_into_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = bytearray()
    room = [150]

    def write(_descriptor: int, data: bytes) -> int:
        taken = data[: room[0]]
        if not taken:
            raise OSError(28, "No space left on device")
        room[0] -= len(taken)
        written.extend(taken)
        return len(taken)

    monkeypatch.setattr("gateway.server.lines.os.write", write)
    lines = LineWriter(1, note)
    lines.write(LINE + LINE)
    until(lambda: lines.dropped == 1, "the loss of the second line")
    room[0] = 10_000
    lines.write(LINE)
    lines.close(DEADLINE_S)
    assert bytes(written) == LINE + LINE[:50] + b"\n" + LINE + note(1)


def test_closing_does_not_wait_for_a_reader_that_stopped(pipe: Pipe) -> None:
    lines = LineWriter(pipe.writing)
    for _ in range(1_000):
        lines.write(LINE)
    lines.close(0.1)
    assert len(pipe.read()) < 100_000
