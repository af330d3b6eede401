"""Every hostile client by name: what it does, over and over, until it is cancelled.

All of them run in one process beside the measuring one, on its core and behind it: what
reaches the bystanders went through the gateway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from tests.benchmarks.hostile import fast_attacks, slow_attacks
from tests.benchmarks.hostile.siege import Siege

Attack = Callable[[Siege], Awaitable[None]]

ATTACKS: Final[dict[str, tuple[str, Attack]]] = {
    "never-read": ("reads nothing, answers no ping", slow_attacks.never_read),
    "never-read-pong": ("reads nothing, answers pings", slow_attacks.never_read_but_pong),
    "slow-read": ("reads 1 KB/s", slow_attacks.read_slowly),
    "slow-head": ("50 heads, a byte each 50 ms", slow_attacks.dribble_heads),
    "slow-body": ("50 bodies, a byte each 50 ms", slow_attacks.dribble_bodies),
    "silent": ("500 silent connections", slow_attacks.be_silent),
    "pongs": ("10,000 pongs/s", fast_attacks.flood_pongs),
    "pings": ("10,000 WebSocket pings/s", fast_attacks.flood_pings),
    "malformed": ("10,000 malformed packets/s", fast_attacks.flood_malformed),
    "attachments": ("attachments announced, never sent", fast_attacks.announce_attachments),
    "monsters": ("deep and huge JSON, 20/s", fast_attacks.send_monsters),
    "double-upgrade": ("double upgrades, 20/s", fast_attacks.upgrade_twice),
    "poll-race": ("racing polls, 20/s", fast_attacks.poll_twice),
}
"""Key → what the table calls it, and what does it."""
