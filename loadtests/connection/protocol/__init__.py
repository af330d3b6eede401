"""The protocols of a connection, without I/O: bytes in, frames and events out."""
