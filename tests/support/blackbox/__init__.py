"""Black-box access to a gateway: its address, its process, and a client that shows all frames."""
