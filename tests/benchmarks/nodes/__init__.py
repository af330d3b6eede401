"""Several nodes on one Redis beside the memory broker: what the shared log costs.

``python -m tests.benchmarks.nodes`` starts a Redis and gateways in turn and prints one table.
"""
