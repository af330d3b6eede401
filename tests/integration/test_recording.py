"""``tidegate record``: a session from a running gateway, which a replay publishes again."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from blackbox.process import GatewayProcess
from deadlines import RUN_S

from gateway.sources.feeds.session_file import SessionReader
from gateway.sources.market.book import LastPrice, MarketRecord
from loadtests.endpoints import unused_port
from loadtests.processes import child_environment, own_command

Start = Callable[..., GatewayProcess]
SIMULATED = {
    "GATEWAY_MARKET": "simulated",
    "GATEWAY_MARKET_SYMBOLS": "A,B,C",
    "GATEWAY_MARKET_RATE": "20",
    "GATEWAY_MARKET_MOST_PER_SECOND": "0",
}


def record(url: str, *words: str, **environ: str) -> tuple[int, str]:
    """Run the command, and return its exit code and what it wrote."""
    held = {k: v for k, v in os.environ.items() if k not in ("JWT_SECRET", "TIDEGATE_TOKEN")}
    done = subprocess.run(
        own_command("tidegate", "record", url, *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=child_environment(held) | environ,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    return done.returncode, done.stdout


def ticks(file: Path) -> Mapping[tuple[str, str], list[MarketRecord]]:
    """Return the records of each symbol and kind; an event does not tell the time of a price."""
    found = defaultdict(list)
    for _, one in SessionReader(file):
        tick = replace(one, time_ms=0) if isinstance(one, LastPrice) else one
        found[one.symbol, type(one).__name__].append(tick)
    return found


def test_the_replay_of_a_recording_gives_the_same_ticks(
    start_gateway: Start, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    live = start_gateway(**SIMULATED)
    code, told = record(live.url, "--seconds", "2", "-o", str(first), JWT_SECRET=live.secret)
    assert code == 0, told
    replay = {
        "GATEWAY_MARKET": "replay",
        "GATEWAY_MARKET_FILE": first,
        "GATEWAY_MARKET_SPEED": "4",
        "GATEWAY_MARKET_LOOP": "1",
        "GATEWAY_MARKET_MOST_PER_SECOND": "0",
    }
    again = start_gateway(**replay)
    symbols = ("--symbol", "A", "--symbol", "B", "--symbol", "C")
    words = ("--seconds", "6", "-o", str(second), *symbols)
    code, told = record(again.url, *words, TIDEGATE_TOKEN=again.token())
    assert (code, "of 3 symbols" in told, "events" in told) == (0, True, False), told
    expected, found = ticks(first), ticks(second)
    assert len(expected) == 9
    for stream, session in expected.items():
        length = len(session)
        assert length > 10
        places = range(len(found[stream]) - length + 1)
        assert any(found[stream][at : at + length] == session for at in places), stream


def test_a_recording_begins_with_the_snapshots(start_gateway: Start, tmp_path: Path) -> None:
    gateway, file = start_gateway(), tmp_path / "s.parquet"
    room, price = "market-data:A", {"symbol": "A", "price": 7.5}
    gateway.publish({"room": room, "event": "price:update", "data": price})
    words = ("--seconds", "1", "--symbol", "A", "-o", str(file))
    code, told = record(gateway.url, *words, JWT_SECRET=gateway.secret)
    assert (code, told) == (0, f"{file}: 1 records of 1 symbols\n")
    assert ticks(file) == {("A", "LastPrice"): [LastPrice(symbol="A", price=7.5, time_ms=0)]}


def test_a_recording_without_an_event_leaves_no_file(start_gateway: Start, tmp_path: Path) -> None:
    gateway, file = start_gateway(), tmp_path / "s.parquet"
    words = ("--seconds", "1", "-o", str(file))
    code, told = record(gateway.url, *words, JWT_SECRET=gateway.secret)
    assert (code, "nothing came" in told, file.exists()) == (1, True, False)


@pytest.mark.parametrize(
    ("environ", "words", "told"),
    [
        ({}, (), "the gateway refuses: Authentication token missing"),
        ({"JWT_SECRET": "x" * 40}, (), "the gateway refuses: Authentication failed"),
        ({"TIDEGATE_TOKEN": "t"}, ("--symbol", "a b"), "the gateway refuses"),
        ({}, ("--seconds", "0"), "must be more than 0"),
    ],
    ids=["no token", "other secret", "bad token", "no time"],
)
def test_a_recording_that_cannot_begin_says_why(
    shared_gateway: Start,
    tmp_path: Path,
    environ: dict[str, str],
    words: tuple[str, ...],
    told: str,
) -> None:
    file = tmp_path / "s.parquet"
    code, said = record(shared_gateway().url, "-o", str(file), *words, **environ)
    assert (code, told in said, file.exists()) == (2, True, False), said


def test_a_gateway_that_is_away_and_a_file_that_exists_are_named(tmp_path: Path) -> None:
    url, file = f"http://127.0.0.1:{unused_port()}", tmp_path / "s.parquet"
    code, told = record(url, "-o", str(file))
    assert (code, url in told, file.exists()) == (2, True, False)
    file.write_text("precious")
    code, told = record(url, "-o", str(file))
    assert (code, "name a new file" in told, file.read_text()) == (2, True, "precious")
