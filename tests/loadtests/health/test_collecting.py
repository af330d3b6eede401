from __future__ import annotations

import gc

from loadtests.health.collecting import freeze_what_stays, release_what_stayed


def test_what_stays_is_passed_over_until_it_is_released() -> None:
    frozen = gc.get_freeze_count()
    try:
        freeze_what_stays()
        assert gc.get_freeze_count() > frozen
    finally:
        release_what_stayed()
    assert gc.get_freeze_count() == 0
