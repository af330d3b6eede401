"""Gateways with one fault each, and the proof that the laboratory finds every fault."""
