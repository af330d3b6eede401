"""What only users of python-socketio need: its interfaces on the gateway's transport.

Tidegate's own gateway takes two names from here: ``AsyncServer``, whose ``connect`` and
``disconnect`` handlers it registers, and ``ConnectRefused``.
"""
