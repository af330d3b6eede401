"""A connection: a Socket.IO client over the reactor, protocol without I/O at its core."""
