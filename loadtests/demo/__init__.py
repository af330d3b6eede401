"""``tidegate demo``: a gateway with its sources, and the built page of ``examples/web`` on it."""
