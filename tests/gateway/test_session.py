from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.auth import Identity
from gateway.limits.event_limiter import EventLimiter
from gateway.limits.quota import EventQuotas
from gateway.limits.rolling_window import RollingWindow
from gateway.session import Session, Sessions
from gateway.settings import Settings


@pytest.fixture
def make_session(
    alice: Identity, make_settings: Callable[..., Settings]
) -> Callable[[str], Session]:
    limiter = EventLimiter(EventQuotas.of(make_settings()), RollingWindow(1, 1))
    return lambda sid: Session(sid, alice, "127.0.0.1", 0, limiter)


def test_a_client_is_in_the_table_until_it_is_removed(
    make_session: Callable[[str], Session],
) -> None:
    sessions, session = Sessions(), make_session("a")
    sessions.add(session)
    assert sessions.get("a") is session
    assert list(sessions) == [session]
    with pytest.raises(ValueError, match="already"):
        sessions.add(session)
    assert sessions.remove("a") is session
    assert sessions.remove("a") is None
    assert (len(sessions), sessions.get("a")) == (0, None)


def test_pages_hold_each_client_once_while_others_come_and_go(
    make_session: Callable[[str], Session],
) -> None:
    sessions = Sessions()
    staying = {f"s{number:02}" for number in range(0, 20, 2)}
    for sid in sorted(staying, reverse=True):
        sessions.add(make_session(sid))
    sessions.add(make_session("s05"))
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(20):
        page, cursor = sessions.page(3, cursor)
        seen += [session.sid for session in page]
        sessions.remove("s05")
        if cursor is None:
            break
    assert cursor is None
    assert sorted(set(seen) & staying) == sorted(staying)
    assert len(seen) == len(set(seen))


def test_the_last_page_that_is_full_has_no_next(make_session: Callable[[str], Session]) -> None:
    sessions = Sessions()
    sessions.add(make_session("a"))
    assert sessions.page(1)[1] is None
    assert Sessions().page(1) == ([], None)
