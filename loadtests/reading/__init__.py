"""Reading: from the bytes of a push at a socket to columns of numbers."""
