"""Compare two gateways by blocks, short runs on a fresh gateway each. See ``reports.pairs``.

``python -m reports.compare`` judges blocks that lie in run directories; ``tidegate compare``
makes them, or takes stored ones. Importing the package imports nothing.
"""
