"""The smallest scenario that is worth a real run: ten subscribers, some seconds, no judge of time.

Its health limits are so wide that a machine that is busy with other tests keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_TEXT: Final = """\
# Does a run go from its file to its verdict?

name = "tiny"
seed = 20
budgets = [
{budgets}]

[phases]
spawn_rate = 20.0
warm_up = "1 s"
steady = "{steady}"
drain = "5 s"

[market]
symbols = 5
zipf = 0.0

[users.subscriber]
count = 10
symbols = 2

[[publish]]
event = "price:update"
rate = 20.0

[health]  # it is no measurement, and the machine may be busy with other tests
generator_share_p99 = "30 s"
publisher_delay_p99 = "30 s"
second_lost_percent = 100
dirty_seconds_percent = 100

[policy]
abort = "{abort}"
"""


def tiny_scenario(budgets: Sequence[str], *, steady: str = "9 s", abort: str = "never") -> str:
    """Return the scenario's text; its first budget stands on line 6."""
    listed = "".join(f'    "{budget}",\n' for budget in budgets)
    return _TEXT.format(budgets=listed, steady=steady, abort=abort)
