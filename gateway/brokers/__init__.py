"""Brokers: the part of the gateway that numbers publications and remembers them. Pure."""
