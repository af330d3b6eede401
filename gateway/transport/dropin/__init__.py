"""The interfaces of python-socketio and python-engineio on this transport.

Tidegate's own gateway uses two names of this folder: ``AsyncServer``, to register its
``connect`` and ``disconnect`` handlers, and ``ConnectRejected``.
"""
