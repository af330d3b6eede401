"""The plan of a run: intended times and the division of work. Pure: no socket, clock, greenlet."""
