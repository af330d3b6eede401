"""What becomes of a batch of pushes in a run's record: spans, counts and samples."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from loadtests.intake import Batch
from loadtests.recording import SAMPLE_EVERY, Recorder
from loadtests.results import Series


def is_sampled(stream: str, number: int) -> bool:
    """Return whether a message is one of those in a thousand that the sample keeps."""
    return zlib.crc32(f"{stream}:{number}".encode()) % SAMPLE_EVERY == 0


@dataclass(frozen=True, slots=True)
class PushRecord:
    """Records what a process's users were pushed; those of a batch are ``vu-<owner>``."""

    recorder: Recorder

    def __call__(self, batch: Batch) -> None:
        """Record a batch."""
        recorder = self.recorder
        recorder.count("received", batch.received)
        recorder.count("bytes_received", batch.bytes_read)
        recorder.spans(Series.GENERATOR_SHARE, batch.shares_ns, batch.share_stamps_ns)
        if not batch.pushes:
            return
        recorder.spans(Series.PUSH_SERVICE, batch.service_ns, batch.stamps_ns)
        intended = batch.is_intended
        recorder.spans(Series.PUSH, batch.response_ns[intended], batch.stamps_ns[intended])
        _sample(recorder, batch)


def _sample(recorder: Recorder, batch: Batch) -> None:
    """Offer what the hash chose, and the slowest: it may be the slowest of its second."""
    chosen = np.flatnonzero(batch.kinds & 1).tolist()
    slowest = int(batch.latencies_ns().argmax())
    for index in {*chosen, slowest}:
        push = batch.pushes[index]
        recorder.sample(
            int(batch.stamps_ns[index]),
            f"vu-{batch.owners[index]}",
            push.stream,
            push.number,
            int(batch.response_ns[index]) if batch.is_intended[index] else None,
            int(batch.service_ns[index]),
        )
