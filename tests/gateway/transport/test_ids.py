"""Ids of sessions and clients: random bytes are read for many at once, and used once."""

from __future__ import annotations

import pytest

from gateway.transport import AsyncServer
from gateway.transport.engine import Engine


@pytest.fixture
def engine() -> Engine:
    return AsyncServer(sid_prefix="n1.").engine


def test_no_id_shares_its_random_part_with_another(engine: Engine) -> None:
    ids = [engine.generate_id() for _ in range(500)]
    assert all(an_id.startswith("n1.") for an_id in ids)
    assert {len(an_id) for an_id in ids} == {len("n1.") + 20}
    assert len({an_id[:-4] for an_id in ids}) == len(ids)


def test_two_servers_share_no_random_part(engine: Engine) -> None:
    other = AsyncServer(sid_prefix="n1.").engine
    ids = [one.generate_id()[:-4] for one in (engine, other) for _ in range(100)]
    assert len(set(ids)) == len(ids)
