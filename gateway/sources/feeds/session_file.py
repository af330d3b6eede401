"""The file of a recorded market session: Parquet, one row a record.

Importing this module needs pyarrow, of the extra ``feeds``. ``docs/sources.md`` describes the
columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.channels import SYMBOL_RULE, is_symbol
from gateway.errors import SourceFailed
from gateway.server.log import get_logger
from gateway.sources.market.book import Book, LastPrice, Level, MarketRecord, Ticker
from gateway.values import MOST_MARKET_SYMBOLS

FORMAT: Final = b"tidegate market session 1"
_FORMAT_KEY: Final = b"format"
_ROWS: Final = 2_000  # of a row group and of a batch that is read
_PRICE, _TICKER, _BOOK = "price", "ticker", "book"
_OPTIONAL: Final = ("bid", "ask", "volume", "change", "high", "low")
_SIDES: Final = ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes")
_SCHEMA: Final = pa.schema(
    [
        ("at_us", pa.int64()),
        ("kind", pa.string()),
        ("symbol", pa.string()),
        ("time_ms", pa.int64()),
        ("price", pa.float64()),
        *((name, pa.float64()) for name in _OPTIONAL),
        *((name, pa.list_(pa.float64())) for name in _SIDES),
    ],
    metadata={_FORMAT_KEY: FORMAT},
)

log = get_logger(__name__)


class SessionWriter:
    """Writes records to a file, in a thread of its own. The file is complete once closed.

    Args:
        path: the file, which must not exist.

    Attributes:
        failure: why the file is not whole; ``None`` while all was written.

    Raises:
        SourceFailed: the file exists, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.failure: BaseException | None = None
        try:
            self._file = path.open("xb")
        except OSError as error:
            raise SourceFailed(
                f"cannot make the session file {path}: {error.strerror}; name a new file"
            ) from None
        self._writer = pq.ParquetWriter(self._file, _SCHEMA, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._thread = ThreadPoolExecutor(1, "market recorder")

    def add(self, at_us: int, records: Iterable[MarketRecord]) -> None:
        """Add records.

        Args:
            at_us: when they were delivered, µs from the beginning of the session.
            records: the records.
        """
        self._rows += (_row(at_us, record) for record in records)
        if len(self._rows) >= _ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and complete the file. It waits for the disk."""
        self._flush()
        self._thread.submit(self._complete).add_done_callback(self._note_failure)
        self._thread.shutdown()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self._thread.submit(self._write, rows).add_done_callback(self._note_failure)

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self._writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))

    def _complete(self) -> None:
        self._writer.close()
        self._file.close()

    def _note_failure(self, written: Future[None]) -> None:
        error = written.exception()
        if error is not None:
            self.failure = error
            log.error("the market session was not recorded whole", exc_info=error)


def _row(at_us: int, record: MarketRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"at_us": at_us, "symbol": record.symbol, "time_ms": record.time_ms}
    if isinstance(record, Book):
        sides = (record.bids, record.asks)
        row |= {"kind": _BOOK}
        for name, side in zip(("bid", "ask"), sides, strict=True):
            row[f"{name}_prices"] = [level.price for level in side]
            row[f"{name}_sizes"] = [level.size for level in side]
    elif isinstance(record, Ticker):
        row |= {"kind": _TICKER, "price": record.price}
        row |= {name: getattr(record, name) for name in _OPTIONAL}
    else:
        row |= {"kind": _PRICE, "price": record.price}
    return row


class SessionReader:
    """Reads a recorded session, any number of times.

    Args:
        path: the file. It is read through once, to check it.

    Attributes:
        symbols: the symbols of the session.

    Raises:
        SourceFailed: the file cannot be read, or is no recorded session.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            schema = pq.read_schema(path)
            if schema.metadata is None or schema.metadata.get(_FORMAT_KEY) != FORMAT:
                raise ValueError(f"it is no recorded session: its metadata lack {FORMAT.decode()}")
            if not schema.equals(_SCHEMA):
                raise ValueError(f"its columns must be {', '.join(_SCHEMA.names)}, in these types")
            symbols = dict.fromkeys(self._checked_symbols())
            if not 1 <= len(symbols) <= MOST_MARKET_SYMBOLS:
                raise ValueError(f"it has {len(symbols)} symbols; 1 to {MOST_MARKET_SYMBOLS} fit")
        except OSError as error:
            raise SourceFailed(f"GATEWAY_MARKET_FILE: cannot read {path}: {error}") from None
        except ValueError as error:  # pyarrow's errors are ValueErrors too
            raise SourceFailed(f"GATEWAY_MARKET_FILE: {path}: {error}") from None
        self.symbols = tuple(symbols)

    def __iter__(self) -> Iterator[tuple[int, MarketRecord]]:
        """Yield each record with its time, µs from the beginning of the session."""
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    yield row["at_us"], _record(row)

    def _checked_symbols(self) -> Iterator[str]:
        last_us = 0
        for number, (at_us, record) in enumerate(self, 1):
            if at_us < last_us:
                raise ValueError(f"row {number}: at_us is before that of the row above")
            if not is_symbol(record.symbol):
                raise ValueError(f"row {number}: {record.symbol!r}: {SYMBOL_RULE}")
            last_us = at_us
            yield record.symbol


def is_replayable(record: MarketRecord) -> bool:
    """Return whether a reader accepts a record."""
    try:
        _record(dict.fromkeys(_SCHEMA.names) | _row(0, record))
    except ValueError:
        return False
    return is_symbol(record.symbol)


def _record(row: Mapping[str, Any]) -> MarketRecord:
    """Return the record of a row.

    Raises:
        ValueError: the row has no valid record.
    """
    kind = row["kind"]
    if row["at_us"] is None or row["time_ms"] is None or row["symbol"] is None:
        raise ValueError("a row lacks at_us, time_ms or symbol")
    shared: dict[str, Any] = {"symbol": row["symbol"], "time_ms": row["time_ms"]}
    if kind == _BOOK:
        bids, asks = _levels(row, "bid"), _levels(row, "ask")
        if bids and asks and bids[0].price >= asks[0].price:
            raise ValueError(f"a book of {row['symbol']} has a bid that is not below its ask")
        return Book(**shared, bids=bids, asks=asks)
    values = [row["price"], *(row[name] for name in _OPTIONAL if row[name] is not None)]
    if row["price"] is None or not all(map(math.isfinite, values)):
        raise ValueError(f"a {kind} of {row['symbol']} has no price, or a value is not finite")
    if kind == _PRICE:
        return LastPrice(**shared, price=row["price"])
    if kind == _TICKER:
        return Ticker(**shared, price=row["price"], **{name: row[name] for name in _OPTIONAL})
    raise ValueError(f"kind is {kind!r}; it must be {_PRICE}, {_TICKER} or {_BOOK}")


def _levels(row: Mapping[str, Any], side: str) -> tuple[Level, ...]:
    prices, sizes = row[f"{side}_prices"], row[f"{side}_sizes"]
    if prices is None or sizes is None or len(prices) != len(sizes):
        raise ValueError(f"a book of {row['symbol']} needs as many {side}_prices as {side}_sizes")
    if not all(value is not None and math.isfinite(value) for value in (*prices, *sizes)):
        raise ValueError(f"a book of {row['symbol']} has a value that is not finite")
    return tuple(map(Level, prices, sizes))
