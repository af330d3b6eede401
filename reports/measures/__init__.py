"""What is computed from a run's tables, a module for each family of metrics.

``reports.measures.registry`` holds the table from metric name to function and is the entrance.
Importing the package imports nothing.
"""
