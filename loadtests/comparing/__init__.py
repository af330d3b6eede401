"""Comparing two gateways: the order of the blocks, and when there are enough of them.

Importing the package imports nothing. ``pair_runs`` is the entry point of ``tidegate compare``.
"""
