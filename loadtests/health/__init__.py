"""Health: probes of the generator, the gateway and their clocks, once a second."""
