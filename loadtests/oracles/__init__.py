"""Oracles: what the gateway ought to have done, held against what it did. Pure."""
