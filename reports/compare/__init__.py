"""Compare two gateways by blocks: short runs, each on a fresh gateway (``reports.shifts``).

``python -m reports.compare`` judges stored blocks; ``tidegate compare`` also runs them.
"""
