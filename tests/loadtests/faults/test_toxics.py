from __future__ import annotations

import json
from typing import Any

import pytest

from loadtests.faults.toxics import (
    Bandwidth,
    Drop,
    Latency,
    ResetPeer,
    Slicer,
    Stall,
    Stream,
    Timeout,
    Toxic,
    ToxicError,
    describe,
    parse_toxics,
)

EACH = (
    Latency(latency_ms=5, jitter_ms=1, stream=Stream.UPSTREAM),
    Bandwidth(rate_kb_s=10, toxicity=0.25),
    Slicer(average_size=10, size_variation=2, delay_us=5),
    Stall(),
    Timeout(timeout_ms=100),
    ResetPeer(),
    Drop(events=("price:update", "x"), count=1, of=7, seed=3),
)


@pytest.mark.parametrize("toxic", EACH, ids=[toxic.kind for toxic in EACH])
def test_what_is_described_as_json_is_read_back_as_it_was(toxic: Toxic) -> None:
    content = json.loads(json.dumps(describe(toxic)))
    assert parse_toxics([content]) == (toxic,)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ({"type": "lag"}, "unknown toxic 'lag'; use one of latency, bandwidth"),
        ({}, "unknown toxic None"),
        ({"type": "latency"}, "latency needs latency_ms"),
        ({"type": "latency", "latency_ms": 1, "speed": 2}, "latency has no speed; use"),
        ({"type": "latency", "latency_ms": -1}, "latency_ms is -1; write 0 or more"),
        ({"type": "stall", "toxicity": 2}, "a share from 0 to 1"),
        ({"type": "stall", "stream": "sideways"}, "'sideways' is not a valid Stream"),
        ({"type": "bandwidth", "rate_kb_s": 0}, "use stall"),
        ({"type": "slicer", "average_size": 3, "size_variation": 3}, "must exceed size_variation"),
        ({"type": "drop", "events": ["a"], "count": 2, "of": 1}, "cannot remove 2 of 1 messages"),
        (
            {"type": "drop", "events": ["a"], "count": 0, "of": 1, "stream": "upstream"},
            "write stream downstream",
        ),
    ],
)
def test_a_toxic_that_cannot_be_is_refused_with_what_would_be_right(
    description: dict[str, Any], words: str
) -> None:
    with pytest.raises(ToxicError, match=words):
        parse_toxics([description])
