"""Where events come from: market feeds, the paper exchange, model providers."""
