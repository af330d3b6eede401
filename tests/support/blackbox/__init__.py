"""A gateway seen from outside: where it is, our own process of it, a client that hides no frame."""
