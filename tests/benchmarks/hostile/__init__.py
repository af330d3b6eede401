"""Hostile clients at full size: what the others notice, and how each of them ends.

``python -m tests.benchmarks.hostile`` measures and prints one table.
"""
