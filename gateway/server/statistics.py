"""The statistics of the clients, of this process or of all nodes, in pages."""

from __future__ import annotations

from typing import Any, Final

from gateway.server.context import Context
from gateway.server.nodes import Nodes

_SEPARATOR: Final = "/"  # between a node and a client in a cursor


def statistics(context: Context, limit: int, cursor: str | None) -> dict[str, Any]:
    """Return a page of ``{connectedClients, totalSubscriptions, clients, next?}`` of this process.

    Args:
        context: the parts of the gateway.
        limit: clients a page, at least 1.
        cursor: ``next`` of the page before, ``None`` for the first page.
    """
    page = page_of(context, limit, cursor)
    return {
        "connectedClients": len(context.sessions),
        "totalSubscriptions": context.subscriptions.total(),
        **page,
    }


def page_of(context: Context, limit: int, cursor: str | None) -> dict[str, Any]:
    """Return a page of this process's clients, ``{clients, next?}``.

    Args:
        context: the parts of the gateway.
        limit: how many clients, at least 1.
        cursor: ``next`` of the page before, ``None`` for the first page.
    """
    sessions, following = context.sessions.page(limit, cursor)
    node = {} if context.nodes is None else {"node": context.nodes.node}
    clients = [
        {
            "id": session.sid,
            "userId": session.identity.user_id,
            "email": session.identity.email,
            "subscriptions": list(context.subscriptions.of(session.sid)),
            **node,
        }
        for session in sessions
    ]
    return {"clients": clients} | ({} if following is None else {"next": following})


async def statistics_of_all(
    context: Context, nodes: Nodes, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Return a page of the clients of all nodes, node after node, as ``statistics`` does.

    Args:
        context: the parts of the gateway.
        nodes: the nodes.
        limit: clients a page, at least 1.
        cursor: ``next`` of the page before, ``None`` for the first page.

    Raises:
        LogAway: the log cannot be reached.
    """
    answer: dict[str, Any] = {
        "connectedClients": len(context.sessions) + nodes.presence.clients,
        "totalSubscriptions": context.subscriptions.total() + nodes.presence.subscriptions,
        "clients": [],
    }
    first, _, after = (cursor or "").partition(_SEPARATOR)
    waiting = [node for node in sorted((nodes.node, *nodes.presence.nodes)) if node >= first]
    for node in waiting:
        room = limit - len(answer["clients"])
        if not room:
            answer["next"] = f"{node}{_SEPARATOR}"
            break
        facts = {"limit": room, "cursor": after if node == first else None}
        answers = await nodes.ask("page", facts, (node,))
        page = answers.get(node)
        if page is None:  # it has died; its clients come back on other nodes
            continue
        answer["clients"] += page["clients"]
        if "next" in page:
            answer["next"] = f"{node}{_SEPARATOR}{page['next']}"
            break
    return answer
