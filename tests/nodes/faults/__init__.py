"""Faults of nodes that share a log: what is done to real parts, and what their clients see."""
