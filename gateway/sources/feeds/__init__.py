"""Market feeds and the source that publishes what they deliver. They own the I/O."""
