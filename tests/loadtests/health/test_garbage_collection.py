from __future__ import annotations

import gc

from loadtests.health.generator_probe import freeze_objects, unfreeze_objects


def test_what_stays_is_passed_over_until_it_is_released() -> None:
    frozen = gc.get_freeze_count()
    try:
        freeze_objects()
        assert gc.get_freeze_count() > frozen
    finally:
        unfreeze_objects()
    assert gc.get_freeze_count() == 0
