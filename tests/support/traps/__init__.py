"""Traps of the stock transport: each is a check that a server passes or falls into.

A check takes the classes under test and starts a server of its own. It raises
:class:`traps.proof.Trapped` only when the server shows the trap; any other exception is an error
of the check.
"""
