"""Capacity: the largest load within a scenario's budgets, as an interval, and what bound it."""
