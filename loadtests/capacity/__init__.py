"""Capacity: the highest load within a scenario's budgets, as an interval, and its limit."""
