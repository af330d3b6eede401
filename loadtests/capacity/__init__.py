"""Search for the capacity: the largest load within a scenario's budgets, as an interval."""
