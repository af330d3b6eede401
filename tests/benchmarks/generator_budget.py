"""The budget of a pushed message, by part: each part alone, in this process, on one core."""

from __future__ import annotations

import json
import select
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from locust.env import Environment

from loadtests.connection.links import READ_BYTES
from loadtests.reading.fast_path import FastPath
from loadtests.reading.intake import Intake
from loadtests.reading.push_records import PushRecord
from loadtests.reading.pushes import PushTable
from loadtests.record.recording import PhaseTimes, Recorder

ROUNDS: Final = 20_000
BATCH: Final = 10_000
_US: Final = 1e6


def make_frame(number: int, size: int = 330) -> bytes:
    """Return the frame of a push as the blaster sends it."""
    text = (
        f'42["price:update",{{"symbol":"S0","price":1.25,"seq":{number},"prevSeq":{number - 1},'
        f'"ts":{time.monotonic_ns() // 1_000},"srcTs":{time.monotonic_ns() // 1_000},"note":"'
    ).encode()
    text += b"x" * (size - len(text) - 3) + b'"}]'
    return b"\x81\x7e" + len(text).to_bytes(2, "big") + text


def cost_us(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return what one call costs: the best of five, so that neighbours do not count."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds // 5):
            work()
        best = min(best, (time.perf_counter() - began) / (rounds // 5))
    return best * _US


def socket_parts() -> dict[str, float]:
    """Return the parts that are the kernel's: a ready list of 64, and a read of one message."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        senders = [socket.create_connection(server.getsockname()) for _ in range(64)]
        readers = [server.accept()[0] for _ in senders]
    poll = select.epoll()
    frame = make_frame(1)
    for sender, reader in zip(senders, readers, strict=True):
        reader.setblocking(False)
        poll.register(reader.fileno(), select.EPOLLIN)
        sender.sendall(frame)
    listing = cost_us(lambda: poll.poll(0, 64), 2_000) / 64
    reading = float("inf")
    for _ in range(40):
        for sender in senders:
            sender.sendall(frame)
        began = time.perf_counter()
        for reader in readers:
            reader.recv(READ_BYTES)
        reading = min(reading, (time.perf_counter() - began) / 64)
    poll.close()
    for sock in (*senders, *readers):
        sock.close()
    return {"epoll, a 64th of its list": listing, "recv of one message": reading * _US}


def fast_path_parts() -> dict[str, float]:
    """Return the parts of the hot path: stamp, memo with fast path, a new frame."""
    intake = Intake()
    fast_path = FastPath(intake, 0)
    fast_path.is_timed = True
    slot = intake.slot_of("price:S0")
    frame = make_frame(1)

    def take() -> None:
        fast_path.last[slot] = 0
        fast_path.take(frame, 0, 1)

    fast_path.follow("price:S0", 0)
    known = cost_us(take)
    numbers = iter(range(2, 10**9))
    frames = [make_frame(next(numbers)) for _ in range(2_000)]
    fresh = iter(frames)
    learning = cost_us(lambda: intake.learn(next(fresh)), 2_000)
    stamping = cost_us(time.monotonic_ns)
    return {
        "stamp": stamping,
        "memo, number, three columns": known,
        "(a frame not seen before)": learning,
    }


def pump_parts() -> dict[str, float]:
    """Return what becomes of the columns: Locust's table, the recorder's spans and seconds."""
    environment = Environment()
    table = PushTable(environment)
    now_ns = time.monotonic_ns()
    fast_path = FastPath(table.intake, 0)
    fast_path.is_timed = True
    frame = make_frame(1)

    def fill() -> None:
        for _ in range(BATCH):
            fast_path.follow("price:S0", 0)
            fast_path.take(frame, 0, time.monotonic_ns())

    def best_of(work: Callable[[], object]) -> float:
        best = float("inf")
        for _ in range(5):
            fill()
            began = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - began)
        return best / BATCH * _US

    told = best_of(table.flush)
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(
            Path(folder) / "run", worker="budget", t0_ns=now_ns, phases=PhaseTimes(now_ns)
        )
        table.record(PushRecord(recorder))
        recorded = best_of(table.flush)
        began = time.perf_counter()
        recorder.flush(time.monotonic_ns())
        second = (time.perf_counter() - began) / (5 * BATCH) * _US
        recorder.close(time.monotonic_ns())
    return {
        "columns to arrays, Locust's table": told,
        "spans and samples": max(0.0, recorded - told),
        "the recorder's second": second,
    }


def measure_budget() -> dict[str, float]:
    """Return the cost of each part of a message, µs."""
    return socket_parts() | fast_path_parts() | pump_parts()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_budget()) + "\n")
