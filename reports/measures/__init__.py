"""The computation of every metric, one module for each family.

Call ``reports.measures.registry.measure``. Importing the package loads nothing.
"""
