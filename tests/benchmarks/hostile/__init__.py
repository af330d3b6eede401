"""Hostile clients at full size: what bystanders notice, and how each hostile client ends.

``python -m tests.benchmarks.hostile`` measures and prints one table.
"""
