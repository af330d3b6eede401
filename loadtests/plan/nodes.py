"""The nodes of a run: one gateway, or several that share a log. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class RunNode(NamedTuple):
    """A gateway of a run.

    Attributes:
        name: in tables and logs.
        url: ``http://HOST:PORT``.
        pid: its process when that is ours.
    """

    name: str
    url: str
    pid: int | None = None


def node_name(place: int) -> str:
    """Return the name of the node at a place, from 0."""
    return f"node-{place + 1}"


def split_urls(text: str) -> tuple[str, ...]:
    """Return the URLs of ``URL,URL``, without a slash at their ends."""
    return tuple(url.strip().rstrip("/") for url in text.split(","))


def name_nodes(urls: Sequence[str], pids: Sequence[int] | None) -> tuple[RunNode, ...]:
    """Return the nodes of a run.

    Args:
        urls: of the gateways.
        pids: their processes when they are ours; None when they are not.
    """
    own: Sequence[int | None] = pids or [None] * len(urls)
    return tuple(
        RunNode(node_name(place), url, pid)
        for place, (url, pid) in enumerate(zip(urls, own, strict=True))
    )


def nodes_of(manifest: Mapping[str, Any]) -> tuple[RunNode, ...]:
    """Return the nodes that a manifest names: its target, where it has no ``nodes``."""
    told = manifest.get("nodes")
    if told:
        return tuple(RunNode(**node) for node in told)
    target = manifest["target"]
    return (RunNode("gateway", str(target["url"]).rstrip("/"), target["pid"]),)


def folder_of(logs: Path, place: int, count: int) -> Path:
    """Return a node's folder for logs: that of the run, where the node is the only one.

    Args:
        logs: the run's folder of logs.
        place: of the node, from 0.
        count: how many nodes there are.
    """
    return logs if count == 1 else logs / node_name(place)
