"""What a run shows while it goes: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

PLAIN_EVERY_S: Final = 5.0


class Progress:
    """Shows the second that ``logs/live.json`` describes. Use it as a context."""

    def __init__(self, console: Console, load_s: float) -> None:
        self.console = console
        self.load_s = load_s
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._last: Mapping[str, Any] = {}
        self._said_s = 0.0
        self._said_phase: object = None

    def __enter__(self) -> Self:
        """Begin the live line when there is a terminal."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the live line away."""
        self.end()

    def end(self) -> None:
        """Take the live line away, so that another process may write to the terminal."""
        self._live.stop()

    def say(self, words: str) -> None:
        """Print a line that stays."""
        self.console.print(words, markup=False, highlight=False, soft_wrap=True)

    def show(self, live: Mapping[str, Any] | None) -> None:
        """Show the newest second; nothing happens while it is the same as before."""
        if not live or live.get("t_s") == self._last.get("t_s"):
            return
        line = describe_second(live, self._last, self.load_s)
        self._last = live
        if self.console.is_terminal:
            self._live.update(Text(line, overflow="ellipsis", no_wrap=True), refresh=True)
            return
        now_s = time.monotonic()
        if live.get("phase") != self._said_phase or now_s - self._said_s >= PLAIN_EVERY_S:
            self._said_s, self._said_phase = now_s, live.get("phase")
            self.say(line)


def describe_second(live: Mapping[str, Any], before: Mapping[str, Any], load_s: float) -> str:
    """Return one second of a run in words and figures; what was not measured is left out.

    What matters most comes first: 80 columns hold no more than that.
    """
    parts = [f"{live['phase']:<7} {live['t_s']:3.0f} s of {load_s:.0f}"]
    if live.get("clients") is not None:
        parts.append(f"{live['clients']} clients")
    parts += [f"{live[name]} {name}" for name in ("errors", "missed") if live.get(name)]
    if live.get("push_p99_ns") is not None:
        p50_ms, p99_ms = live["push_p50_ns"] / 1e6, live["push_p99_ns"] / 1e6
        parts.append(f"push p50 {p50_ms:.1f} p99 {p99_ms:.1f} ms")
    span_s = live["t_s"] - before.get("t_s", 0.0)
    if live.get("published") is not None and span_s > 0:
        published = live["published"] - (before.get("published") or 0)
        parts.append(f"{published / span_s:,.0f}/s published")
    parts.append(f"{live['requests']}/s asked")
    parts.append(f"{live['received']:,}/s received")
    return "  ".join(parts)
