"""Conducting: running a scenario under Locust, from the opening to the drain."""
