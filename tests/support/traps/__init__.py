"""Traps of the stock transport, each as a check that a server either passes or falls into.

A check takes the classes under test, starts a server of its own, and raises
:class:`traps.proof.Trapped` at the one place where the trap shows; anything else that it raises
is a fault of the check.
"""
