"""Limits of connections, users and addresses. Pure: the time is an argument."""
