"""The gateway: a Socket.IO server for trading, market data and LLM streams."""

__version__ = "0.1.0"
