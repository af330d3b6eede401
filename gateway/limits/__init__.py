"""What one connection, one user or one address may do; pure, the time is an argument."""
