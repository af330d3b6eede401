"""``PublicationLedger``: what the publisher sent, and the numbers that the gateway gave it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.contract import user_stream
from loadtests.plan.publish_plan import PublishPlan
from loadtests.publication.publishing import PUBLISHER_LEDGER
from loadtests.record.manifest import write_json
from loadtests.record.recording import PhaseTimes, Recorder
from loadtests.results import LOGS, Event, Phase, Series

WORKER: Final = "publisher"
_NS_PER_US: Final = 1_000

_log = logging.getLogger("publisher")


class PublicationLedger:
    """Counts and times the publications of a plan, and writes them to the run directory.

    Attributes:
        recorder: records all measurements.
        published: items that the gateway accepted.
        late: items sent more than the plan's ``late_ns`` after their due time.
        missed: items that were due and never sent.
        failed: items that were sent and not accepted.
        throttled: answers that asked to wait (503).
        streams: the last number of each stream, from the answers.
        counts: accepted publications of each stream.
    """

    def __init__(self, plan: PublishPlan) -> None:
        self._late_ns = plan.late_ns
        self._file = plan.directory / LOGS / PUBLISHER_LEDGER
        self.published = self.late = self.missed = self.failed = self.throttled = 0
        self.streams: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        phases = PhaseTimes(plan.t0_ns)
        phases.begin(Phase.WARM_UP, plan.first_ns)
        phases.begin(Phase.STEADY, plan.steady_ns)
        self.recorder = Recorder(
            plan.directory,
            worker=WORKER,
            t0_ns=plan.t0_ns,
            phases=phases,
            from_ns=plan.first_ns,
        )

    def send(self, batch: Sequence[tuple[int, int, int]], now_ns: int) -> None:
        """Count items that go out now; each begins with its due time."""
        self.recorder.count("offered", len(batch))
        self.recorder.count("sent", len(batch))
        for due_ns, _, _ in batch:
            self.late += now_ns - due_ns > self._late_ns
            self.recorder.span(Series.PUBLISH_DELAY, now_ns - due_ns, now_ns)

    def miss(self, items: int) -> None:
        """Count items that were due and never sent."""
        self.missed += items
        self.recorder.count("missed", items)

    def fail(self, words: str) -> None:
        """Log and count a request that the gateway did not accept."""
        _log.error("%s", words)
        self.recorder.count("errors")
        self.recorder.event(
            Event.ERROR, at_ns=time.monotonic_ns(), group=WORKER, outcome="publish", detail=words
        )

    def accept(
        self,
        items: Sequence[Mapping[str, object]],
        due_ns: Sequence[int],
        receipts: Sequence[Mapping[str, Any]],
        now_ns: int,
        *,
        is_offset: bool,
    ) -> None:
        """Take the gateway's answer to a request.

        Args:
            items: what was published.
            due_ns: when each item was due, monotonic.
            receipts: the answer's entry for each item.
            now_ns: when the answer came, monotonic.
            is_offset: whether ``srcTs`` carries the error of a clock offset.
        """
        for each_ns in due_ns:
            self.recorder.span(Series.PUBLISH_ACK, now_ns - each_ns, now_ns)
        self.published += len(items)
        for item, receipt in zip(items, receipts, strict=True):
            self._time_acceptance(item, receipt, now_ns, is_offset=is_offset)
            if "seq" in receipt:
                self._keep_number(str(receipt["stream"]), int(receipt["seq"]))
            if "userSeq" in receipt:
                self._keep_number(user_stream(str(item["userId"])), int(receipt["userSeq"]))

    def write(self) -> None:
        """Write the counts to ``logs/publisher.json``."""
        names = ("published", "late", "missed", "failed", "throttled", "streams", "counts")
        write_json(self._file, {name: getattr(self, name) for name in names})

    def close(self) -> None:
        """Close the record."""
        self.recorder.close(time.monotonic_ns())
        self.write()

    def _time_acceptance(
        self,
        item: Mapping[str, object],
        receipt: Mapping[str, Any],
        now_ns: int,
        *,
        is_offset: bool,
    ) -> None:
        """Record numbered − intended, both on the gateway's clock."""
        source_us, numbered_us = item.get("srcTs"), receipt.get("ts")
        if not isinstance(source_us, int) or not isinstance(numbered_us, int):
            return
        accept_ns = (numbered_us - source_us) * _NS_PER_US
        if accept_ns < 0 and is_offset:
            return  # less than the error of the clock offset
        self.recorder.span(Series.ACCEPT, accept_ns, now_ns)

    def _keep_number(self, stream: str, number: int) -> None:
        self.streams[stream] = max(number, self.streams.get(stream, 0))
        self.counts[stream] += 1
