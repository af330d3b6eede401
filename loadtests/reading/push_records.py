"""Record batches of pushes in a run: durations, counts, sums and samples."""

from __future__ import annotations

import time
import zlib
from array import array
from collections.abc import Callable

import numpy as np

from loadtests.plan.nodes import node_name
from loadtests.reading.batches import Batch, Integers
from loadtests.reading.fanout_skew import FanoutSkew
from loadtests.reading.staleness import HeldPrices
from loadtests.reading.user_pushes import UserPushes
from loadtests.record.recording import SAMPLE_EVERY, Recorder
from loadtests.results import Series


def is_sampled(stream: str, number: int) -> bool:
    """Return whether a message belongs to the sample, which keeps one in a thousand by hash."""
    return zlib.crc32(f"{stream}:{number}".encode()) % SAMPLE_EVERY == 0


class PushRecord:
    """Records the pushes to the users of one process.

    Args:
        recorder: writes the records.
        name_of: returns the name of an owner in a batch.
        nodes: the place of each owner's node; empty where there is one node.

    Attributes:
        users: the pushes to each user in the steady phase.
        prices: the newest price of each symbol at a sample of users.
        with_rate: owners who asked for fewer events a second (``maxRate``).
    """

    def __init__(
        self,
        recorder: Recorder,
        name_of: Callable[[int], str] = "vu-{}".format,
        nodes: array[int] | None = None,
    ) -> None:
        self._nodes = array("B") if nodes is None else nodes
        self.users = UserPushes(recorder.phases)
        self.prices = HeldPrices()
        self.with_rate: set[int] = set()
        self._recorder = recorder
        self._name_of = name_of
        self._skew = FanoutSkew()
        self._below_zero = 0

    def __call__(self, batch: Batch) -> None:
        """Record a batch."""
        recorder = self._recorder
        recorder.count("received", batch.received)
        recorder.count("bytes_received", batch.bytes_read)
        recorder.spans(Series.GENERATOR_SHARE, batch.shares_ns, batch.share_stamps_ns)
        if not batch.pushes:
            return
        self._record_one_way(Series.KERNEL, *batch.kernel_spans(), batch.offset_ns)
        latencies_ns = batch.latencies_ns()
        self._record_spans(batch)
        if self._nodes:
            self._record_nodes(batch, latencies_ns)
        self.users.take(batch, latencies_ns)
        self.prices.take(batch)
        self._skew.take(batch, self.with_rate)
        recorder.spans(Series.FANOUT_SKEW, *self._skew.settle(int(batch.stamps_ns[-1])))
        self._sample(batch, latencies_ns)

    def ask_staleness(self) -> None:
        """Record the age of every price that the sample of users holds now."""
        now_ns = time.monotonic_ns()
        ages_ns = self.prices.ages_ns(now_ns)
        self._recorder.spans(Series.STALENESS, ages_ns, np.full(len(ages_ns), now_ns))

    def close(self) -> None:
        """Record the fan-out skew of the publications that are still waiting for copies."""
        self._recorder.spans(Series.FANOUT_SKEW, *self._skew.close())

    def unmeasured(self) -> set[str]:
        """Return a text for each kind of measurement that was left out."""
        if not self._below_zero:
            return set()
        return {f"{self._below_zero} one-way times: below zero, because two clocks are compared"}

    def _record_spans(self, batch: Batch) -> None:
        """Record the pushes, separately for each kind of stream."""
        indices = batch.family_indices()
        present = np.flatnonzero(np.bincount(indices)).tolist()
        for family in {batch.families[index] for index in present}:
            chosen = [index for index in present if batch.families[index] == family]
            if len(chosen) == len(present):
                self._record_family(batch, slice(None), family)
            else:
                is_chosen = np.isin(indices, chosen) if len(chosen) > 1 else indices == chosen[0]
                self._record_family(batch, np.flatnonzero(is_chosen), family)

    def _record_family(self, batch: Batch, lines: Integers | slice, family: str) -> None:
        stamps_ns, offset_ns = batch.stamps_ns[lines], batch.offset_ns
        service_ns = batch.service_ns[lines]
        self._record_one_way(Series.PUSH_SERVICE, service_ns, stamps_ns, offset_ns, family)
        is_intended, response_ns = batch.is_intended[lines], batch.response_ns[lines]
        if not is_intended.all():
            response_ns, stamps_ns = response_ns[is_intended], stamps_ns[is_intended]
        self._record_one_way(Series.PUSH, response_ns, stamps_ns, offset_ns, family)

    def _record_nodes(self, batch: Batch, latencies_ns: Integers) -> None:
        """Record the pushes of each node. A user that has just moved counts for its new node."""
        places = np.array(self._nodes)[batch.owners]
        for place in np.unique(places).tolist():
            is_its = places == place
            spans_ns, at_ns = latencies_ns[is_its], batch.stamps_ns[is_its]
            kept = spans_ns >= 0
            self._recorder.spans(Series.NODE_PUSH, spans_ns[kept], at_ns[kept], node_name(place))

    def _record_one_way(
        self,
        series: Series,
        values_ns: Integers,
        at_ns: Integers,
        offset_ns: int,
        family: str = "",
    ) -> None:
        """Record times between two clocks; drop negative ones when the clocks differ."""
        if offset_ns and len(values_ns) and values_ns.min() < 0:
            is_told = values_ns >= 0
            self._below_zero += len(values_ns) - int(is_told.sum())
            values_ns, at_ns = values_ns[is_told], at_ns[is_told]
        self._recorder.spans(series, values_ns, at_ns, family)

    def _sample(self, batch: Batch, latencies_ns: Integers) -> None:
        """Offer the pushes that the hash chose, and the slowest, to the sample."""
        chosen = np.flatnonzero(batch.kinds & 1).tolist()
        slowest = int(latencies_ns.argmax())
        for index in {*chosen, slowest}:
            push = batch.pushes[index]
            self._recorder.sample(
                int(batch.stamps_ns[index]),
                self._name_of(int(batch.owners[index])),
                push.stream,
                push.number,
                int(batch.response_ns[index]) if batch.is_intended[index] else None,
                int(batch.service_ns[index]),
            )
