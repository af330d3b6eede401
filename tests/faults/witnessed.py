"""``python -m tests.faults.witnessed``: each fault in a gateway that only the witness uses.

For each fault that acts without load it starts the gateway with the fault and the witness, and
waits until the witness reports it. It writes ``docs/witness-faults.md``. FAULT arguments try some
faults only, and write nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from gateway.contract import LISTENING_LINE
from loadtests.processes import bound_to_us, child_environment, own_command
from loadtests.watching.figures import Finding
from tests.faults.catalogue import FAULTS

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "witness-faults.md"
LIMIT_S: Final = 60.0
CLEAN: Final = "none"
HEARTBEAT_S: Final = 5
_END_S: Final = 20.0
_MARKET: Final[dict[str, str]] = {
    "GATEWAY_MARKET": "simulated",
    "GATEWAY_MARKET_SYMBOLS": "BTC/USDT,ETH/USDT",
    "GATEWAY_MARKET_SEED": "1",
}


def unlucky_prefix() -> str:
    """Return a name whose user 1 is in the one percent that some faults pick."""
    return next(
        name
        for name in (f"watch{number}" for number in range(10_000))
        if zlib.crc32(f"{name}-1".encode()) % 100 == 0
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """A fault that the witness must find.

    Attributes:
        findings: any of these tells of it.
        options: of ``tidegate watch``.
        settings: of the gateway.
        note: what the trial needs beyond the defaults, for the table.
    """

    findings: tuple[Finding, ...]
    options: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    note: str = ""


_MANY: Final = ("--batches", "5")
_MANY_NOTE: Final = "30 market events a second, as it acts once in thousands"
_UNLUCKY: Final = ("--user", unlucky_prefix())
_UNLUCKY_NOTE: Final = "a user of the witness is in the 1 %"
_TRADING: Final = ("--trading",)

WATCHED: Final[Mapping[str, Watched]] = {
    "heartbeat-dropped": Watched((Finding.HEARTBEAT_MISSED,), _UNLUCKY, note=_UNLUCKY_NOTE),
    "heartbeat-slow": Watched((Finding.HEARTBEAT_LATE,)),
    "heartbeat-doubled": Watched((Finding.HEARTBEAT_EXTRA,), _UNLUCKY, note=_UNLUCKY_NOTE),
    "heartbeat-burst": Watched((Finding.HEARTBEAT_EXTRA,)),
    "delivery-lost": Watched((Finding.LOST,), _MANY, note=_MANY_NOTE),
    "delivery-doubled": Watched((Finding.DUPLICATE,), _MANY, note=_MANY_NOTE),
    "delivery-swapped": Watched((Finding.REORDERED,), _MANY, note=_MANY_NOTE),
    "conflation-claimed": Watched((Finding.FALSE_CONFLATION,), _MANY, note=_MANY_NOTE),
    "digit-changed": Watched((Finding.ALTERED,), _MANY, note=_MANY_NOTE),
    "tick-changed": Watched(
        (Finding.ALTERED,),
        (*_MANY, "--symbol", "BTC/USDT", "--symbol", "ETH/USDT"),
        _MARKET,
        f"{_MANY_NOTE}; the gateway's own market",
    ),
    "snapshot-old": Watched((Finding.SNAPSHOT,)),
    "snapshot-changed": Watched((Finding.SNAPSHOT, Finding.ALTERED)),
    "side-changed": Watched((Finding.ALTERED,), _TRADING, note="`--trading`"),
    "answer-other": Watched((Finding.ANSWER,)),
    "welcome-other": Watched((Finding.ANSWER,)),
    "first-lost": Watched((Finding.LOST,)),
    "foreign-order": Watched((Finding.FOREIGN,)),
    "private-field": Watched((Finding.PRIVATE_FIELD,), _TRADING, note="`--trading`"),
    "room-kept": Watched((Finding.UNSUBSCRIBED, Finding.LEAKED)),
    "replay-lost": Watched((Finding.RETURN_LOST,)),
    "replay-doubled": Watched((Finding.RETURN_DOUBLED,)),
    "slot-lost": Watched((Finding.LOST,), ("--batches", "5"), note="30 market events a second"),
    "slot-old": Watched((Finding.LOST,), ("--batches", "5"), note="30 market events a second"),
    "rate-ignored": Watched(
        (Finding.OVER_RATE,), ("--batches", "5"), note="30 market events a second"
    ),
    "token-overstays": Watched((Finding.TOKEN_OVERSTAYED,)),
    "token-unchecked": Watched((Finding.TOKEN_ACCEPTED,)),
    "left-open": Watched((Finding.LEFT_OPEN,)),
    "peer-unnoticed": Watched((Finding.PEER_UNNOTICED,)),
    **{
        name: Watched((Finding.LIMIT,), ("--limits",), note="`--limits`")
        for name in ("limit-59", "limit-61", "window-59", "window-61", "limit-reset")
    },
}
"""By fault: how the witness finds it."""

UNWATCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "it shows in times under load: `tidegate_witness_push_seconds` and the budgets on it": (
        "broadcast-late", "loop-held", "slow-blocks", "encoded-for-each",
    ),
    "it needs clients that connect and leave by the thousand": ("memory-leaked",),
    "it acts when the gateway drains": ("drain-silent", "drain-for-good"),
    "the witness reads no metrics; alerts on them compare two scrapes": ("figures-old",),
    "it needs requests to a model, which cost money": (
        "token-lost", "token-doubled", "token-foreign", "token-altered",
    ),
    "it needs clients whose tokens name entitlements, and a token of an administrator": (
        "entitlement-kept", "entitlement-ignored", "revoked-served",
    ),
    "it needs the paper exchange": (
        "fill-early", "profit-wrong", "fee-forgotten", "public-price",
    ),
}  # fmt: skip
"""By reason: the faults that the witness does not look for."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a trial came to: the finding and when, s; None for nothing in time."""

    fault: str
    finding: str | None
    after_s: float
    others: tuple[str, ...] = ()


def watch_fault(
    name: str, folder: Path, limit_s: float = LIMIT_S, more: tuple[str, ...] = ()
) -> Sighting:
    """Start a gateway with a fault and the witness, and wait for the finding.

    Args:
        name: of the fault, or ``none``.
        folder: takes the logs.
        limit_s: how long to wait after the witness's first line.
        more: options of ``tidegate watch``.
    """
    watched = WATCHED.get(name, Watched((), ("--limits",)))
    secret = secrets.token_urlsafe(48)
    environment = child_environment(os.environ) | watched.settings | {
        "JWT_SECRET": secret,
        "GATEWAY_ENV": "test",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "GATEWAY_HEARTBEAT_SECONDS": str(HEARTBEAT_S),
    }  # fmt: skip
    with (folder / f"{name}.log").open("wb") as log:
        gateway = _start([*own_command("tests.faults.gateway"), name], environment, log)
        try:
            url = _first_line(gateway).removeprefix(LISTENING_LINE).strip()
            words = own_command("tidegate", "watch", url, "--port", "0", *watched.options, *more)
            return _wait_for(name, watched, _start(words, environment, log), limit_s)
        finally:
            _end(gateway)


def _wait_for(
    name: str, watched: Watched, witness: subprocess.Popen[str], limit_s: float
) -> Sighting:
    told: list[str] = []
    try:
        _first_line(witness)
        start_s = time.monotonic()
        alarm = threading.Timer(limit_s, witness.terminate)
        alarm.start()
        for line in witness.stdout or ():
            finding = json.loads(line).get("finding")
            if finding is None:
                continue
            told.append(finding)
            if finding in watched.findings:
                alarm.cancel()
                after_s = time.monotonic() - start_s
                return Sighting(name, finding, after_s, tuple(dict.fromkeys(told[:-1])))
        alarm.cancel()
        return Sighting(name, None, time.monotonic() - start_s, tuple(dict.fromkeys(told)))
    finally:
        _end(witness)


def _start(
    words: list[str], environment: Mapping[str, str], log: IO[bytes]
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=log,
        env=dict(environment),
        text=True,
        preexec_fn=bound_to_us(),  # noqa: PLW1509 - the alarm's thread starts later, and ends first
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError(f"the process ended with {process.wait(_END_S)} before its first line")
    return line


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def document(sightings: Mapping[str, Sighting]) -> str:
    """Return the document of all trials."""
    clean = sightings[CLEAN]
    lines = [
        "# Faults that the witness finds",
        "",
        "`tidegate watch` beside a gateway that has no other clients, with heartbeats each",
        (
            f"{HEARTBEAT_S} s (default: 30 s), one trial a fault. "
            "Time: from the witness's first line to the finding."
        ),
        "`python -m tests.faults.witnessed` makes this table.",
        "",
        "| fault | | found as | after | beyond the defaults |",
        "|---|---|---|---|---|",
    ]
    for name, watched in WATCHED.items():
        seen = sightings[name]
        after = f"{seen.after_s:.0f} s" if seen.finding else f"**not in {LIMIT_S:.0f} s**"
        found = f"`{seen.finding}`" if seen.finding else "–"
        lines.append(f"| `{name}` | {FAULTS[name].meaning} | {found} | {after} | {watched.note} |")
    alarms = ", ".join(clean.others) or "none"
    lines += [
        "",
        f"Without a fault, with `--limits`, in {clean.after_s:.0f} s: false alarms: {alarms}.",
        "",
        "The witness does not look for these:",
        "",
    ]
    for reason, names in UNWATCHED.items():
        lines.append(f"- {', '.join(f'`{name}`' for name in names)}: {reason}.")
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> int:
    """Try the faults named, or all; return 1 when one was not found or the clean run alarmed."""
    folder = Path("runs") / "witnessed"
    folder.mkdir(parents=True, exist_ok=True)
    sightings = {}
    for name in names or [*WATCHED, CLEAN]:
        seen = sightings[name] = watch_fault(name, folder)
        print(name, seen.finding, f"{seen.after_s:.1f} s", seen.others, flush=True)  # noqa: T201
    if not names:
        DOCUMENT.write_text(document(sightings), encoding="utf-8")
    is_good = all(
        seen.finding is not None or (name == CLEAN and not seen.others)
        for name, seen in sightings.items()
    )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
