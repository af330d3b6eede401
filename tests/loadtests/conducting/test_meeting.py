from __future__ import annotations

import json
import time
from pathlib import Path

import gevent
import pytest
from deadlines import DEADLINE_S

from loadtests.conducting.meeting import AGREEMENT_NS, Meeting, PeerMissing
from loadtests.plan.schedule import SECOND_NS


def test_both_sides_begin_at_the_same_whole_second(tmp_path: Path) -> None:
    now_ns = time.monotonic_ns()
    first, second = Meeting(tmp_path / "first"), Meeting(tmp_path / "second")
    asked = [
        gevent.spawn(first.agree, now_ns, DEADLINE_S),
        gevent.spawn(second.agree, now_ns + SECOND_NS, DEADLINE_S),
    ]
    gevent.joinall(asked, raise_error=True)
    (begin_ns,) = {greenlet.value for greenlet in asked}
    assert begin_ns % SECOND_NS == 0
    assert AGREEMENT_NS <= begin_ns - (now_ns + SECOND_NS) < AGREEMENT_NS + SECOND_NS


def test_a_side_without_its_peer_says_so(tmp_path: Path) -> None:
    with pytest.raises(PeerMissing, match=r"the other side was not ready within 0\.05 s"):
        Meeting(tmp_path / "second").agree(0, 0.05)


def test_the_manifest_names_the_meeting_and_the_place(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path / "pair-03" / "second")
    assert json.dumps(meeting.describe()) == '{"place": "second", "meeting": "pair-03"}'
    assert meeting.turns.place == 1
