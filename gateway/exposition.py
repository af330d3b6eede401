"""Metrics of several nodes as one exposition: each family once, with the series of all. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NODE_UP: Final = "tidegate_node_up"
_HELP: Final = b"# HELP "
_COMMENT: Final = b"#"
_END: Final = b"# EOF\n"  # of OpenMetrics


def merge_expositions(expositions: Iterable[bytes], absent: Iterable[str]) -> bytes:
    """Return the metrics of all nodes, in the format of the given ones.

    Args:
        expositions: the metrics of each node, whose series have its label. All have one format.
        absent: the nodes that did not answer, of which only ``tidegate_node_up`` tells.
    """
    families: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    end = b""
    for exposition in expositions:
        heads: list[bytes] = []
        samples: list[bytes] = []
        is_first = False
        for line in exposition.splitlines(keepends=True):
            if line == _END:
                end = _END
            elif line.startswith(_HELP):
                name = line.split(b" ", 3)[2]
                is_first = name not in families
                heads, samples = families.setdefault(name, ([], []))
                if is_first:
                    heads.append(line)
            elif not line.startswith(_COMMENT):
                samples.append(line)
            elif is_first:
                heads.append(line)
    _, ups = families.setdefault(NODE_UP.encode(), ([], []))
    ups += [f'{NODE_UP}{{node="{name}"}} 0.0\n'.encode() for name in absent]
    return b"".join(b"".join([*heads, *samples]) for heads, samples in families.values()) + end
