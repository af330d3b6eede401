"""The broker ``redis``: one Redis Stream is the log that numbers, and that all nodes read."""
