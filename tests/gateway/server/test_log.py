"""The gateway's own lines: one JSON object each, whole, and no secret in any of them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.server.log import JsonLine

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"

BEGINNING = """
import logging
from gateway.server.log import configure_logs, get_logger

lines = configure_logs("INFO", %r)
log = get_logger("gateway.somewhere")
"""
SAYING = f"""
log.debug("too fine to be said")
log.info("client connected", client="abc", user="ada")
log.warning("odd", text="before {TOKEN} behind", token="anything")
try:
    raise RuntimeError("inner workings")
except RuntimeError:
    log.exception("failed")
logging.getLogger("library").warning("said %s", "{TOKEN}")
"""


def lines_said(style: str, saying: str = SAYING) -> list[str]:
    """Return what a process of its own says on standard error."""
    said = subprocess.run(
        [sys.executable, "-c", BEGINNING % style + saying],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return said.stderr.splitlines()


def line_of(**fields: Any) -> dict[str, Any]:
    """Return what a JSON line of an event says."""

    class Logger:
        name = "gateway.somewhere"

    raw = JsonLine()(Logger(), "info", fields)
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    line: dict[str, Any] = json.loads(raw)
    return line


def test_own_and_library_lines_have_one_shape_and_hold_no_token() -> None:
    said = lines_said("json")
    assert TOKEN not in "".join(said)
    connected, odd, failed, library = map(json.loads, said)
    assert {"client": "abc", "user": "ada", "event": "client connected"}.items() <= (
        connected.items()
    )
    assert (odd["text"], odd["token"]) == ("before [redacted] behind", "[redacted]")
    assert "RuntimeError: inner workings" in failed["exception"]
    assert "exc_info" not in failed
    assert library["event"] == "said [redacted]"
    assert [line["level"] for line in (connected, odd, failed, library)] == [
        "info", "warning", "error", "warning",
    ]  # fmt: skip
    names = [line["logger"] for line in (connected, odd, failed, library)]
    assert names == [*["gateway.somewhere"] * 3, "library"]


def test_the_console_says_the_same_for_people() -> None:
    said = "\n".join(lines_said("console"))
    assert TOKEN not in said
    assert "too fine" not in said
    for words in ("client connected", "[gateway.somewhere]", "inner workings", "[library]"):
        assert words in said


@pytest.mark.parametrize(("style", "told"), [("json", '"count":1'), ("console", "count=1")])
def test_dropped_lines_are_told_once_lines_can_be_written(style: str, told: str) -> None:
    said = lines_said(style, "lines.dropped = 1\nlog.info('on')")
    assert len(said) == 2
    assert "log lines dropped" in said[1]
    assert told in said[1]


def test_a_warning_of_python_is_a_line_of_the_log() -> None:
    (said,) = lines_said("json", "import warnings\nwarnings.warn('careful')")
    assert "careful" in json.loads(said)["event"]


def test_a_timestamp_is_the_moment_in_utc_with_microseconds() -> None:
    before = datetime.now(UTC)
    moments = [datetime.fromisoformat(line_of(event="x")["timestamp"]) for _ in range(3)]
    assert all(moment.utcoffset() == timedelta(0) for moment in moments)
    assert before - timedelta(milliseconds=1) <= moments[0] <= moments[-1] <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(2**80, 2**80, id="an integer over 64 bits"),
        pytest.param("\ud800", "\ud800", id="a lone surrogate"),
        pytest.param({1: 2}, {"1": 2}, id="a key that is no text"),
        pytest.param(logging, repr(logging), id="what no JSON has"),
    ],
)
def test_what_json_holds_badly_is_written_all_the_same(value: object, written: object) -> None:
    assert line_of(event="x", value=value)["value"] == written


@dataclass
class Sealed:
    """Something that keeps a field out of its own text."""

    user: str
    secret: str = field(repr=False)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Sealed("ada", TOKEN), id="a field that a dataclass does not show"),
        pytest.param(ValueError(TOKEN), id="the text of an error"),
        pytest.param({"query": TOKEN}, id="inside a mapping"),
        pytest.param([f"before {TOKEN} behind"], id="inside a list"),
    ],
)
def test_no_token_hides_in_a_value_that_is_no_text(value: object) -> None:
    assert TOKEN not in json.dumps(line_of(event="x", value=value))


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_a_client_wrote_moves_no_cursor_and_begins_no_line(style: str) -> None:
    written = 'a\n\r\x1b[2K\x85\u2028\u202e\x9b31m\x7f"b'
    said = lines_said(style, f"log.info({written!r}, reason={written!r})")
    assert len(said) == 1
    assert all(character.isprintable() for character in said[0])
    if style == "json":
        assert json.loads(said[0])["reason"] == written
