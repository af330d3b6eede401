"""The gateway beside its peers, one core for the server and one for who measures.

``python -m tests.benchmarks.transport`` starts each peer in turn and prints one table.
"""
