"""What is kept of a run: figures, answers, notes, and where and when they were measured."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.benchmarks.transport.rows import Answer
from tests.benchmarks.transport.stages import Run

FORMAT: Final = 1
_DOUBTS: Final[tuple[tuple[Callable[[dict[str, Any]], bool], str], ...]] = (
    # Of the whole cell; a client that is busy throughout the ticks shows no more than this.
    (lambda note: note["client_share"] > 0.85, "client-limited, over 85 % of its core"),
    (lambda note: note["others_share"] > 0.1, "other processes used over 10 % of a core"),
    (
        lambda note: note["missed"] > 0 and note["cell"] != "many_x20",
        "the peer did not keep up, ticks were not offered",
    ),
    (
        lambda note: not note["is_drained"] and note["cell"] != "many_x20",
        "still reading 10 s after the last tick",
    ),
)


def describe(
    run: Run, answers: Sequence[Answer], pairs: int, cores: Sequence[int]
) -> dict[str, Any]:
    """Return the document that ``--json`` keeps."""
    return {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "cores": {"server": cores[0], "client": cores[-1]},
        "pairs": pairs,
        "lengths": asdict(run.lengths),
        "peers": {peer.key: {"title": peer.title, "version": peer.version} for peer in run.peers},
        "figures": run.figures,
        "answers": {
            answer.row.key: {
                "title": answer.row.title.strip(),
                "unit": answer.row.unit,
                "against": answer.row.against or None,
                "goal": answer.row.goal,
                "by_peer": {key: asdict(value) for key, value in answer.by_peer.items()},
                "compared": None if answer.compared is None else asdict(answer.compared),
                "judgement": answer.judgement or None,
            }
            for answer in answers
        },
        "notes": run.notes,
    }


def machine() -> dict[str, str | int]:
    """Return what the figures depend on: processor, cores, kernel, interpreters."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "node": _node(),
    }


def in_words(document: dict[str, Any]) -> str:
    """Return date, machine and method in two or three sentences."""
    where = document["machine"]
    pairs = document["pairs"]
    how_many = "1 pair, no interval" if pairs == 1 else f"{pairs} interleaved pairs"
    apart = document["cores"]["server"] != document["cores"]["client"]
    cores = "server and client on a core each" if apart else "server and client share one core"
    return (
        f"{document['date'][:10]}, {where['processor']}, {where['cores']} cores, "
        f"{where['kernel']}, {where['python']}, Node {where['node']}; {how_many}; {cores}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        return "absent"
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.strip().removeprefix("v") or "unknown"


def limits_reached(notes: Sequence[dict[str, Any]]) -> list[str]:
    """Return, in words, every reason to doubt a cell."""
    found = [f"{_place(note)} failed: {note['failed']}" for note in notes if "failed" in note]
    cells = [note for note in notes if "failed" not in note]
    for is_so, words in _DOUBTS:
        places = list(dict.fromkeys(_place(note) for note in cells if is_so(note)))
        if places:
            found.append(f"{words}: {', '.join(places)}")
    return found


def _place(note: dict[str, Any]) -> str:
    return f"{note['peer']} {note.get('cell') or note.get('stage')}"


def client_ceiling(notes: Sequence[dict[str, Any]]) -> float | None:
    """Return how many ticks a second the client's core could read, by what one cost it.

    From the floor at its highest rate; None when that was not measured.
    """
    costs = [
        float(note["client_us"])
        for note in notes
        if note["peer"] == "floor" and note.get("cell") == "many_x20" and note["client_us"]
    ]
    return 1e6 / median(costs) if costs else None
