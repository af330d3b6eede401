"""Which class plays which group of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loadtests.behaviours.abuser import Abuser
from loadtests.behaviours.bad_token import BadToken
from loadtests.behaviours.churner import Churner
from loadtests.behaviours.dead_peer import DeadPeer
from loadtests.behaviours.expiring import Expiring
from loadtests.behaviours.idle import Idle
from loadtests.behaviours.never_reader import NeverReader
from loadtests.behaviours.slow_reader import SlowReader
from loadtests.behaviours.storm import StormMember
from loadtests.behaviours.subscriber import Subscriber
from loadtests.behaviours.trader import Trader
from loadtests.behaviours.users import VirtualUser

CAST: Final[Mapping[str, type[VirtualUser]]] = {
    user_class.group: user_class
    for user_class in (
        Subscriber,
        Trader,
        Idle,
        Churner,
        StormMember,
        SlowReader,
        NeverReader,
        DeadPeer,
        Abuser,
        BadToken,
        Expiring,
    )
}
"""By the group's name in ``[users]``."""
