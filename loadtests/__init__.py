"""The load laboratory: scenarios driven with Locust, every delivery and every answer accounted for.

Importing this package imports nothing else. People who write their own Locust
files start at ``loadtests.user``.
"""
