"""Health: what the generator, the gateway and their clocks are worth, second by second."""
