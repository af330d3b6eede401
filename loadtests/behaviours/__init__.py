"""What virtual users do, one class a module; ``users.VirtualUser`` is what all are.

``cast`` names the class of each group of a scenario.
"""
