"""``make proof``: everything at real times, in one table with commit and machine."""
