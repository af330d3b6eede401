"""Health: second by second, how far the generator, the gateway and the clocks can be trusted."""
