"""Compare two gateways by blocks, short runs on a fresh gateway each. See ``reports.shifts``.

``python -m reports.compare`` judges blocks that lie in run directories; ``tidegate compare``
makes them, or takes stored ones. Importing the package imports nothing.
"""
