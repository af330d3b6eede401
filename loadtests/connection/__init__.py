"""A connection: a Socket.IO client over the reactor, with protocols that do no I/O."""
