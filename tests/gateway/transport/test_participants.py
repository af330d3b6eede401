"""The tables of participants keep nothing of clients and rooms that are gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from gateway.transport.participants import Participants


def test_a_room_goes_with_its_last_member() -> None:
    participants = Participants()
    members = []
    for number in range(3):
        session = cast(Any, SimpleNamespace(participants=()))
        member = participants.join(session, "/", f"sid-{number}")
        assert member is not None
        participants.admit(member)
        participants.enter(member, f"user:{number}")
        participants.enter(member, "trading")
        members.append(member)
    participants.leave(members[0], "user:0")
    participants.part(members[1])
    assert participants._rooms == {
        "/": {
            "trading": {"sid-0": members[0].session, "sid-2": members[2].session},
            "user:2": {"sid-2": members[2].session},
        }
    }
    participants.mute(members[0])
    participants.part(members[2])
    assert not any(participants._rooms.values())
