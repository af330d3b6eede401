"""``python -m tests.benchmarks.hostile.attacker``: attacks on command, one at a time.

Lines of JSON. In: first ``{port, tokens, symbols}``, then ``{attack}`` and ``{}`` in turn, the
empty one ending it. Out: ``{under_way}``, and ``{stopped, counts, failed}``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Awaitable
from typing import Any, Final

from tests.benchmarks.hostile.attacks import ATTACKS
from tests.benchmarks.hostile.lines import Target
from tests.benchmarks.hostile.siege import Siege

_BEHIND_THE_MEASURING: Final = 10  # nice: who measures goes first on the core they share
_MOST_LINE_BYTES: Final = 1_000_000


async def _obey() -> None:
    reader = asyncio.StreamReader(limit=_MOST_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    told = json.loads(await reader.readline())
    target = Target(
        port=told["port"], tokens=itertools.cycle(told["tokens"]), symbols=told["symbols"]
    )
    while line := await reader.readline():
        name = json.loads(line)["attack"]
        siege = Siege(target)
        attacking = asyncio.create_task(_wage(ATTACKS[name][1](siege)))
        begun = asyncio.create_task(siege.is_under_way.wait())
        await asyncio.wait({attacking, begun}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        _say({"under_way": name})
        await reader.readline()
        attacking.cancel()
        await asyncio.wait({attacking})
        failed = "" if attacking.cancelled() else attacking.result()
        _say({"stopped": name, "counts": dict(siege.counts), "failed": failed})


async def _wage(attack: Awaitable[None]) -> str:
    """Return why an attack ended by itself, which none should."""
    try:
        await attack
    except Exception as error:  # noqa: BLE001 - told to whoever measures, who decides
        return f"{type(error).__name__}: {error}"
    return "it ended by itself"


def _say(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)  # noqa: T201 - a command line speaks


if __name__ == "__main__":
    os.nice(_BEHIND_THE_MEASURING)
    asyncio.run(_obey())
