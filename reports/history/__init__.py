"""Keep the figures of runs in one file, and find the runs at which a figure changed.

``python -m reports.history add|show|check`` (``reports.history.keeping``).
"""
