"""``tidegate rules``: alert rules and a dashboard from a scenario's budgets. Pure."""
