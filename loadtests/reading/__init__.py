"""Reading: the short way of a push from a socket to columns of numbers."""
