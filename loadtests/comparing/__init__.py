"""Two gateways compared: who runs the blocks, in which order, and when it is enough.

Importing the package imports nothing; ``program`` is the entrance, for ``tidegate compare``.
"""
