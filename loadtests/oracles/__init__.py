"""Oracles: they compare what the gateway did with what it should have done. Pure."""
