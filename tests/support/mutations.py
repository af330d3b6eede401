"""Mutations of a corpus, repeatable by their seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence


def mutations(
    corpus: Sequence[bytes], pieces: Sequence[bytes], count: int, seed: int
) -> Iterator[bytes]:
    """Yield the corpus itself, and then its mutations: one to three changes each.

    Args:
        corpus: what to begin with.
        pieces: bytes to insert, which mean something to the parser.
        count: the number of mutations.
        seed: fixes them.
    """
    yield from corpus
    chance = random.Random(seed)  # noqa: S311 - repeatable by its seed
    changes = (_flip, _insert, _remove, _repeat, _swap, _splice)
    for _ in range(count):
        data = chance.choice(corpus)
        for _ in range(chance.randint(1, 3)):
            data = chance.choice(changes)(data, corpus, pieces, chance)
        yield data


_Change = Callable[[bytes, Sequence[bytes], Sequence[bytes], random.Random], bytes]


def _flip(data: bytes, _corpus: object, _pieces: object, chance: random.Random) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _insert(data: bytes, _corpus: object, pieces: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(pieces) + data[at:]


def _remove(data: bytes, _corpus: object, _pieces: object, chance: random.Random) -> bytes:
    at, end = sorted(chance.randint(0, len(data)) for _ in range(2))
    return data[:at] + data[min(end, at + 8) :]


def _repeat(data: bytes, _corpus: object, _pieces: object, chance: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    at = chance.randrange(len(lines))
    return b"\r\n".join([*lines[:at], lines[at], *lines[at:]])


def _swap(data: bytes, _corpus: object, _pieces: object, chance: random.Random) -> bytes:
    case = chance.choice((bytes.upper, bytes.lower, bytes.swapcase))
    at, end = sorted(chance.randint(0, len(data)) for _ in range(2))
    return data[:at] + case(data[at:end]) + data[end:]


def _splice(data: bytes, corpus: Sequence[bytes], _pieces: object, chance: random.Random) -> bytes:
    other = chance.choice(corpus)
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]
