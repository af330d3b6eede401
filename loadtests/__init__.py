"""The load laboratory: it drives scenarios with Locust and accounts for every delivery and answer.

Importing this package imports nothing else. To write your own Locust file,
start at ``loadtests.user``.
"""
