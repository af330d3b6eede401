from __future__ import annotations

from gateway.limits.user_connections import UserConnections


def test_a_21st_connection_closes_the_longest_silent_one() -> None:
    connections = UserConnections(20)
    for number in range(20):
        assert connections.add("al", f"c{number}", number) is None
    connections.touch("c0", 100)
    assert connections.add("bob", "b0", 100) is None
    assert connections.add("al", "c20", 101) == "c1"


def test_a_connection_that_is_leaving_is_not_named_twice_nor_revived() -> None:
    connections = UserConnections(1)
    connections.add("al", "a", 0)
    assert connections.add("al", "b", 1) == "a"
    connections.touch("a", 2)
    assert connections.add("al", "c", 3) == "b"
    assert connections.of("al") == ("a", "b", "c")


def test_nothing_is_left_of_connections_that_went() -> None:
    connections = UserConnections(2)
    for number in range(1_000):
        connections.add(f"u{number % 7}", f"c{number}", number)
        connections.remove(f"c{number}")
        connections.touch(f"c{number}", number)
    connections.remove("never there")
    assert len(connections) == 0
    assert connections._heard_ns == {}
