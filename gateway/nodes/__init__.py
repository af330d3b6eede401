"""What nodes that share a log know of it and of each other. Pure: no clock, no socket."""
