"""Recorded sessions: what is written is what is read, and other files are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deadlines import poll_until
from hypothesis import given, settings
from hypothesis import strategies as st
from manual_clock import ManualClock

from gateway.contract import PRICE_EVENT, iso_timestamp
from gateway.errors import SourceFailed
from gateway.sources.feeds.replay import RecordingFeed, ReplayFeed, open_replay, recording
from gateway.sources.feeds.session_file import SessionReader, SessionWriter
from gateway.sources.market.book import Book, LastPrice, Level, MarketRecord, Ticker
from gateway.sources.market.events import publication_of, record_of

NUMBERS = st.floats(0.0001, 1e6)
TIMES = st.integers(0, 2**45)
SYMBOLS = st.sampled_from(["BTC/USDT", "ETH-USD", "X"])
SIDES = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4)
RECORDS = st.one_of(
    st.builds(LastPrice, symbol=SYMBOLS, price=NUMBERS, time_ms=TIMES, is_stale=st.just(False)),
    st.builds(
        Ticker,
        symbol=SYMBOLS,
        price=NUMBERS,
        time_ms=TIMES,
        is_stale=st.just(False),
        **dict.fromkeys(("bid", "ask", "volume", "change", "high", "low"), st.none() | NUMBERS),
    ),
    st.builds(
        lambda symbol, time_ms, bids, asks: Book(
            symbol=symbol,
            time_ms=time_ms,
            bids=tuple(Level(-price, size) for price, size in bids),
            asks=tuple(Level(price, size) for price, size in asks),
        ),
        SYMBOLS,
        TIMES,
        SIDES,
        SIDES,
    ),
)


def write(path: Path, session: Sequence[tuple[int, MarketRecord]]) -> Path:
    writer = SessionWriter(path)
    for at_us, record in session:
        writer.add(at_us, [record])
    writer.close()
    return path


@given(st.lists(RECORDS, min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, records: list[MarketRecord]
) -> None:
    session = list(enumerate(records))
    path = write(tmp_path_factory.mktemp("session") / "s.parquet", session)
    reader = SessionReader(path)
    assert list(reader) == session
    assert set(reader.symbols) == {record.symbol for record in records}


@given(RECORDS)
def test_a_record_is_read_from_the_event_that_it_becomes(record: MarketRecord) -> None:
    sent = publication_of(record)
    time = iso_timestamp(record.time_ms / 1_000)
    assert record_of(sent.event, {**sent.data, "timestamp": time}) == record


@pytest.mark.parametrize(
    "changes",
    [{"price": "dear"}, {"price": None}, {"timestamp": "noon"}, {"timestamp": 5}],
    ids=["text", "none", "no time", "number"],
)
def test_an_event_of_another_shape_is_no_record(changes: dict[str, Any]) -> None:
    payload = {"symbol": "A", "price": 1.5, "timestamp": iso_timestamp(1)}
    assert record_of(PRICE_EVENT, payload) == LastPrice(symbol="A", price=1.5, time_ms=1_000)
    with pytest.raises((TypeError, ValueError)):
        record_of(PRICE_EVENT, payload | changes)


def test_a_long_session_has_every_record_in_order(tmp_path: Path) -> None:
    session = [
        (n, LastPrice(symbol="A", price=float(n), time_ms=n)) for n in range(5_001)
    ]  # more than two row groups
    assert list(SessionReader(write(tmp_path / "s", session))) == session


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    path.write_text("precious")
    with pytest.raises(SourceFailed, match=r"cannot make the session file .*name a new file"):
        SessionWriter(path)
    assert path.read_text() == "precious"


def row(**changes: Any) -> dict[str, Any]:
    return {"at_us": 1, "kind": "price", "symbol": "A", "time_ms": 1, "price": 1.0, **changes}


def book(**changes: Any) -> dict[str, Any]:
    sides = {"bid_prices": [1.0], "bid_sizes": [1.0], "ask_prices": [2.0], "ask_sizes": [1.0]}
    return row(kind="book", price=None, **(sides | changes))


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row(), row(at_us=0)], "row 2: at_us is before that of the row above"),
        ([row(symbol="not a symbol")], "row 1: 'not a symbol': a symbol is at most"),
        ([row(kind="trade")], "kind is 'trade'; it must be price, ticker or book"),
        ([row(price=None)], "a price of A has no price"),
        ([row(price=float("nan"))], "a value is not finite"),
        ([row(kind="ticker", bid=float("inf"))], "a value is not finite"),
        ([row(time_ms=None)], "a row lacks at_us, time_ms or symbol"),
        ([book(bid_sizes=[])], "needs as many bid_prices as bid_sizes"),
        ([book(ask_prices=None)], "needs as many ask_prices as ask_sizes"),
        ([book(ask_sizes=[float("nan")])], "has a value that is not finite"),
        ([book(bid_prices=[2.0])], "has a bid that is not below its ask"),
        ([], "it has 0 symbols"),
    ],
)
def test_a_bad_row_is_refused_with_its_fault(
    tmp_path: Path, rows: list[dict[str, Any]], told: str
) -> None:
    path = write(tmp_path / "good", [(0, LastPrice(symbol="A", price=1.0, time_ms=1))])
    schema = pq.read_schema(path)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "bad")
    with pytest.raises(SourceFailed, match="GATEWAY_MARKET_FILE") as raised:
        SessionReader(tmp_path / "bad")
    assert told in str(raised.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match="cannot read"):
        SessionReader(tmp_path / "absent")
    (tmp_path / "text").write_text("not Parquet at all")
    with pytest.raises(SourceFailed, match="GATEWAY_MARKET_FILE"):
        SessionReader(tmp_path / "text")
    pq.write_table(pa.table({"price": [1.0]}), tmp_path / "other")
    with pytest.raises(SourceFailed, match="it is no recorded session"):
        SessionReader(tmp_path / "other")


class ListFeed:
    """A feed that delivers what the test gives it."""

    symbols: tuple[str, ...] = ("A", "B")

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.deliver: Any = None
        self.is_stopped = False

    async def start(self, deliver: Any, mark_stale: Any) -> None:
        self.deliver = deliver

    def take(self, symbol: str) -> None:
        self.taken.append(symbol)

    def release(self, symbol: str) -> None:
        raise AssertionError("a recorded symbol is never released")

    async def stop(self) -> None:
        self.is_stopped = True


async def test_a_recording_has_every_symbol_and_delivers_what_is_taken(tmp_path: Path) -> None:
    inner, clock = ListFeed(), ManualClock()
    feed = recording(inner, str(tmp_path / "s"), clock)
    assert isinstance(feed, RecordingFeed)
    delivered: list[MarketRecord] = []
    await feed.start(delivered.extend, lambda symbol, kinds: None)
    assert inner.taken == ["A", "B"]
    a, b = (LastPrice(symbol=symbol, price=1.5, time_ms=3) for symbol in "AB")
    feed.take("A")
    clock.advance(0.25)
    inner.deliver([a, b])
    feed.release("A")
    inner.deliver([a])
    await feed.stop()
    assert inner.is_stopped
    assert delivered == [a]
    assert list(SessionReader(tmp_path / "s")) == [(250_000, a), (250_000, b), (250_000, a)]


class Played:
    """What a replay delivered, with the time of the loop."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, MarketRecord]] = []
        self.stale: set[str] = set()

    def deliver(self, records: Sequence[MarketRecord]) -> None:
        now_s = asyncio.get_running_loop().time()
        self.heard += ((now_s, record) for record in records)

    def mark_stale(self, symbol: str, kinds: object) -> None:
        self.stale.add(symbol)

    def prices(self) -> list[float]:
        return [record.price for _, record in self.heard if isinstance(record, LastPrice)]


async def start(feed: ReplayFeed, *symbols: str) -> Played:
    played = Played()
    await feed.start(played.deliver, played.mark_stale)
    for symbol in symbols:
        feed.take(symbol)
    return played


def session_of(path: Path, step_us: int) -> Path:
    return write(
        path,
        [
            (n * step_us, LastPrice(symbol="AB"[n % 2], price=float(n), time_ms=n))
            for n in range(1, 7)
        ],
    )


async def test_a_replay_keeps_the_distances_and_ends_stale(tmp_path: Path) -> None:
    feed = open_replay(str(session_of(tmp_path / "s", 200_000)), speed=4, is_endless=False)
    assert set(feed.symbols) == {"A", "B"}
    played = await start(feed, "A", "B")
    await poll_until(lambda: played.stale == {"A", "B"}, "the end of the session")
    assert played.prices() == [1, 2, 3, 4, 5, 6]
    assert played.heard[-1][0] - played.heard[0][0] >= 0.24, "5 × 0.2 s at four times the speed"
    await feed.stop()


async def test_a_replay_delivers_only_what_is_taken(tmp_path: Path) -> None:
    feed = open_replay(str(session_of(tmp_path / "s", 1)), speed=1, is_endless=False)
    played = await start(feed, "A")
    await poll_until(lambda: played.stale, "the end of the session")
    assert played.prices() == [2, 4, 6]
    await feed.stop()


async def test_an_endless_replay_begins_again(tmp_path: Path) -> None:
    feed = open_replay(str(session_of(tmp_path / "s", 1)), speed=1, is_endless=True)
    played = await start(feed, "A", "B")
    await poll_until(lambda: len(played.heard) >= 18, "three rounds")
    assert played.prices()[:12] == [1, 2, 3, 4, 5, 6] * 2
    assert not played.stale
    await feed.stop()
