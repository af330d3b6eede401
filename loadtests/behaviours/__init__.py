"""Behaviours of virtual users, one class per module, all derived from ``users.VirtualUser``.

``cast`` names the class of each group of a scenario.
"""
