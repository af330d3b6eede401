"""What nodes tell each other of a user's events: every event counts once on every node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.quota import Quota
from gateway.limits.user_windows import UserWindows
from gateway.nodes.shared_events import SharedEvents

S = 1_000_000_000
WINDOW = 60 * S
LIMIT = 300


class PlayedNode:
    """The limits of one node, with one user."""

    def __init__(self) -> None:
        self.windows = UserWindows(Quota(LIMIT, WINDOW), 10 * S)
        self.events = SharedEvents(self.windows, WINDOW)

    def come(self, now_ns: int) -> None:
        self.windows.acquire("al", now_ns)

    def go(self, now_ns: int) -> None:
        self.windows.release("al", now_ns)

    def send(self, now_ns: int) -> bool:
        window = self.windows.acquire("al", now_ns)
        self.windows.release("al", now_ns)
        return window.admit(now_ns) == 0

    def count(self, now_ns: int) -> int:
        return len(self.windows.times_after("al", now_ns - WINDOW))


def beat(nodes: list[PlayedNode], now_ns: int) -> None:
    """Have every node tell the others about the user."""
    for node in nodes:
        for user_id, events in node.events.tell(["al"], now_ns).items():
            for other in nodes:
                if other is not node:
                    other.events.hear(user_id, events, now_ns)


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=12
)


@given(STEPS)
def test_every_event_counts_once_wherever_the_user_goes(steps: list[tuple[int, int, int]]) -> None:
    nodes = [PlayedNode() for _ in range(3)]
    now_ns, sent_ns = S, list[int]()
    for place, events, pause_s in steps:
        nodes[place].come(now_ns)
        for _ in range(events):
            now_ns += 1_000_000
            if nodes[place].send(now_ns):
                sent_ns.append(now_ns)
        nodes[place].go(now_ns)
        now_ns += S // 2
        beat(nodes, now_ns)
        now_ns += pause_s * S
        for node in nodes:
            node.come(now_ns)
            node.go(now_ns)
            least = sum(time > now_ns - WINDOW for time in sent_ns)
            most = sum(time > now_ns - WINDOW - S // 5 for time in sent_ns)
            assert least <= node.count(now_ns) <= most


def test_a_user_that_moves_takes_the_times_of_its_events_along() -> None:
    first, second = PlayedNode(), PlayedNode()
    first.come(S)
    for number in range(LIMIT):
        assert first.send(S + number * S // 10)
    first.go(40 * S)
    beat([first, second], 40 * S)
    second.come(41 * S)
    assert not second.send(41 * S)
    assert not second.send(S + WINDOW - S)
    assert second.send(S + WINDOW + S), "the first ones have left the window"


def test_what_was_told_and_heard_is_forgotten_after_the_window() -> None:
    nodes = [PlayedNode(), PlayedNode()]
    nodes[0].come(S)
    nodes[0].send(S)
    nodes[0].go(S)
    beat(nodes, 2 * S)
    assert nodes[1].windows.past_of("al")
    for second in range(3, 200):
        beat(nodes, second * S)
    assert not nodes[1].windows.past_of("al")
