"""A python-socketio application on Tidegate's transport: only the import differs."""

import sys

from aiohttp import web

from gateway.transport import AsyncServer

server = AsyncServer(cors_allowed_origins="*")


@server.event
async def message(_sid: str, data: object) -> object:
    """Send the message to all clients and acknowledge it."""
    await server.emit("message", data)
    return data


app = web.Application()
server.attach(app)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]) if sys.argv[1:] else 8000)
