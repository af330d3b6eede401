"""Rates: clients that get market data at a rate of their own, in tiers that share frames. Pure."""
