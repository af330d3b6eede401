"""``tidegate watch``: a few real clients on a running gateway, judged all the time."""
