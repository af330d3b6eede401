"""Each fault of the table at small size: nothing is lost, doubled, reordered or leaked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nodes.faults.cluster import SMALL
from tests.nodes.faults.ledger import Account, Findings, compare
from tests.nodes.faults.table import FAULTS, Fault
from tests.nodes.faults.trial import problems, run_trial


@pytest.mark.real_part("redis-server")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_a_fault_loses_nothing_silently(fault: Fault, tmp_path: Path) -> None:
    row = await run_trial(fault, SMALL, tmp_path)
    assert not problems(row), row


@pytest.mark.parametrize(
    ("seen", "accepted", "found"),
    [
        ([1, 2, 3], [1, 2, 3], Findings()),
        ([1, 3], [1, 2, 3], Findings(lost=1)),
        ([1, 2], [1, 2, 3], Findings(lost=1)),
        ([1, 2, 2, 3], [1, 2, 3], Findings(doubled=1)),
        ([1, 3, 2], [1, 2, 3], Findings(reordered=1)),
        ([1, None, 3], [1, 2, 3], Findings()),
        ([2, 3], [1, 2, 3], Findings()),
    ],
)
def test_the_ledger_finds_what_differs_from_what_was_accepted(
    seen: list[int | None], accepted: list[int], found: Findings
) -> None:
    assert compare(seen, accepted) == found


def test_the_ledger_finds_gaps_of_numbers_unless_the_client_was_told() -> None:
    account = Account("al")
    account.connected({"epoch": "e", "userSeq": 4})
    account.event("user:al", 5, 10)
    account.event("user:al", 7, 11)
    assert account.findings({"user:al": [10, 11]}) == Findings(lost=1)
    account.resync({"reason": "not-held", "epoch": "e", "userSeq": 20})
    account.event("user:al", 21, 12)
    account.event("user:al", 20, 9)
    account.leak()
    assert account.findings({"user:al": [10, 11, 12]}) == Findings(1, 0, 1, 1)
