"""``GatewayMetrics``: the metrics for Prometheus, a closed list of names without personal data.

Labels come from closed lists too. Names that a client or a publisher invents are counted
under ``other``, so the number of series is bounded.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.contract import EVENTS, Channel, Direction, ErrorCode, Family, LimitName
from gateway.exposition import NODE_UP
from gateway.limits.address_admission import AddressLimit
from gateway.model_metrics import MODEL_METRICS, ModelMetrics
from gateway.security_metrics import SECURITY_METRICS, SecurityMetrics
from gateway.series import Followed, Maximum, WithNode, WithoutCreated

_OTHER: Final = "other"
_NS_PER_S: Final = 1e9
MAXIMUM_WINDOW_S: Final = 15.0
"""A maximum is that of the last full window and of the current one, whoever reads it and how often:
a scrape each 15 s misses none."""
_IN_THE_WINDOW: Final = f"in the last {MAXIMUM_WINDOW_S:g} to {2 * MAXIMUM_WINDOW_S:g} s."
_FAST_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip
_LAG_BUCKETS_S: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15,
    0.25, 0.5, 1.0, 2.5,
)  # fmt: skip
_CONNECTION_BUCKETS_S: Final = (1, 10, 60, 300, 900, 3_600, 14_400, 43_200, 86_400)
_CLIENT_EVENTS: Final = frozenset(
    name for name, row in EVENTS.items() if row.direction is Direction.TO_GATEWAY
)
_FAMILIES: Final = {
    name: row.family.value for name, row in EVENTS.items() if row.direction is Direction.TO_CLIENT
}
_CLOSING_REASONS: Final[dict[str, str]] = {
    "client disconnect": "client",
    "server disconnect": "server",
    "ping timeout": "ping_timeout",
    "transport close": "transport_close",
    "transport error": "transport_error",
    "token expired": "token_expired",
    "token revoked": "token_revoked",
    "kicked": "kicked",
    "too many connections": "too_many_connections",
    "too many refused events": "too_many_refused_events",
    "protocol breach": "protocol_breach",
    "slow consumer": "slow_consumer",
    "draining": "draining",
    "anomaly": "anomaly",
}
"""The label of each reason in the log."""

OWN_METRICS: Final[dict[str, str]] = {
    "tidegate_build_info": "1, with the version of the gateway and of Python.",
    NODE_UP: "1 for a node that answers, 0 for one of the same port that does not, by node.",
    "tidegate_ready": "1 while the gateway accepts new clients, as /health/ready says; else 0.",
    "tidegate_clients": "Connected clients.",
    "tidegate_messages_in_total": "Events from clients, by event.",
    "tidegate_messages_out_total": "Events queued for clients, once per recipient, by kind.",
    "tidegate_sent_bytes_total": "Bytes of packets written to clients, without pings and heads.",
    "tidegate_subscriptions": "Subscriptions by channel; a client counts once per room.",
    "tidegate_limit_violations_total": "Events refused by a rolling limit, by limit.",
    "tidegate_address_refusals_total": "Sessions refused by address, by reason.",
    "tidegate_authentication_failures_total": "Refused tokens, by code.",
    "tidegate_connection_seconds": "Duration of connections.",
    "tidegate_connections_closed_total": "Closed connections, by reason.",
    "tidegate_handler_errors_total": "Event handlers that failed because of a bug in the gateway.",
    "tidegate_fanout_seconds": "Time from the queueing of an event to its last write.",
    "tidegate_fanout_hold_max_seconds": f"Longest hold of the loop by the fan-out {_IN_THE_WINDOW}",
    "tidegate_queue_bytes": "Bytes queued for clients that do not keep up.",
    "tidegate_queue_sends": "Sends queued in the lanes, one per recipient.",
    "tidegate_conflated_total": "Events that newer ones replaced for a slow client.",
    "tidegate_gc_pause_seconds": "Pauses of the garbage collector, by generation.",
    "tidegate_gc_pause_max_seconds": f"Longest garbage collection {_IN_THE_WINDOW}",
    "tidegate_sessions": "Engine.IO sessions, including those before their CONNECT.",
    "tidegate_http_connections": "Plain HTTP connections, including polling.",
    "tidegate_connections_passed_total": "Connections passed to another process of the same port.",
    "tidegate_tasks": "Unfinished tasks of the event loop.",
    "tidegate_loop_lag_seconds": "Delay of timers in the event loop.",
    "tidegate_loop_lag_max_seconds": f"Longest delay of a timer {_IN_THE_WINDOW}",
    "tidegate_market_records_total": "Records that the market feed delivered, by event.",
    "tidegate_market_replaced_total": "Records that newer ones replaced before publication.",
    "tidegate_market_symbols": "Symbols that the market feed delivers.",
    "tidegate_market_stale_symbols": "Delivered symbols whose last values are stale.",
    "tidegate_publications_failed_total": "Publications that the log of the nodes did not take.",
    "tidegate_log_entries_total": "Entries of the log of the nodes that this node has applied.",
    "tidegate_log_skipped_total": "Entries of the log of another program or version: skipped.",
    "tidegate_nodes": "Nodes that share the log, this one included; 1 without Redis.",
    "tidegate_log_silence_seconds": "Time since this node heard itself through the log; 0 alone.",
    "tidegate_log_lines_dropped_total": "Log lines that standard error did not take in time.",
    **SECURITY_METRICS,
    **MODEL_METRICS,
}
"""Each metric of the gateway and its description."""
PROCESS_METRICS: Final = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
)
METRIC_NAMES: Final = frozenset(OWN_METRICS) | frozenset(PROCESS_METRICS)
"""All metrics of the gateway, as a scrape names them."""


# Finding a series by its label costs as much as counting ten times. The labels are few.
@lru_cache(maxsize=512)
def _counter_of(metric: Counter, label: str) -> Counter:
    return metric.labels(label)


def _count_of(counts: Callable[[], Mapping[Channel, int]], channel: Channel) -> int:
    return counts().get(channel, 0)


class GatewayMetrics:
    """Counts and times the work of the gateway.

    Args:
        registry: the Prometheus registry, a new one by default.
        node: the name of this node.

    Attributes:
        models: those of model streams.
        security: those of the audit log and of anomalies.
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, node: str = "") -> None:
        self._node = node
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = self._gauge("tidegate_build_info", "version", "python_version")
        build.labels(__version__, platform.python_version()).set(1)
        self._gauge(NODE_UP, "node").labels(node).set(1)
        self.models = ModelMetrics(self.registry)
        self._ready = self._gauge("tidegate_ready")
        self._connected = 0
        self._gauge("tidegate_clients").set_function(lambda: self._connected)
        self._messages_in = self._counter("tidegate_messages_in_total", "event")
        self._messages_out = self._counter("tidegate_messages_out_total", "kind")
        self._subscriptions = self._gauge("tidegate_subscriptions", "channel")
        self._limit_violations = self._counter("tidegate_limit_violations_total", "limit")
        self._address_refusals = self._counter("tidegate_address_refusals_total", "reason")
        self._authentication_failures = self._counter(
            "tidegate_authentication_failures_total", "code"
        )
        self._connection_s = self._histogram("tidegate_connection_seconds", _CONNECTION_BUCKETS_S)
        self._closed = self._counter("tidegate_connections_closed_total", "reason")
        self._handler_errors = self._counter("tidegate_handler_errors_total")
        self._fanout_s = self._histogram("tidegate_fanout_seconds", _FAST_BUCKETS_S)
        self._loop_lag_s = self._histogram("tidegate_loop_lag_seconds", _LAG_BUCKETS_S)
        self._loop_lag_max_s = Maximum(self._gauge("tidegate_loop_lag_max_seconds"))
        self._gc_pause_s = Histogram(
            "tidegate_gc_pause_seconds",
            OWN_METRICS["tidegate_gc_pause_seconds"],
            ("generation",),
            buckets=_FAST_BUCKETS_S,
            registry=self.registry,
        )
        self._gc_pause_max_s = Maximum(self._gauge("tidegate_gc_pause_max_seconds"))
        self._sessions = self._gauge("tidegate_sessions")
        self._http_connections = self._gauge("tidegate_http_connections")
        self._passed = self._counter("tidegate_connections_passed_total")
        self._tasks = self._gauge("tidegate_tasks")
        self._waiting_bytes = self._gauge("tidegate_queue_bytes")
        self._waiting_sends = self._gauge("tidegate_queue_sends")
        self._hold_max_s = Maximum(self._gauge("tidegate_fanout_hold_max_seconds"))
        self._sent_bytes = self._counter("tidegate_sent_bytes_total")
        self._conflated_events = self._counter("tidegate_conflated_total")
        self._market_records = self._counter("tidegate_market_records_total", "event")
        self._market_replaced = self._counter("tidegate_market_replaced_total")
        self._market_symbols = self._gauge("tidegate_market_symbols")
        self._market_stale_symbols = self._gauge("tidegate_market_stale_symbols")
        self._publications_failed = self._counter("tidegate_publications_failed_total")
        self._log_entries = self._counter("tidegate_log_entries_total")
        self._log_skipped = self._counter("tidegate_log_skipped_total")
        self._nodes = self._gauge("tidegate_nodes")
        self._nodes.set(1)
        self._log_silence_s = self._gauge("tidegate_log_silence_seconds")
        self._log_lines_dropped = self._counter("tidegate_log_lines_dropped_total")
        self._followed: list[Followed] = []
        self.security = SecurityMetrics(self.registry, self._followed)
        self._show_zeros()

    def client_connected(self) -> None:
        """Count a new client."""
        self._connected += 1

    def client_closed(self, reason: str, seconds: float) -> None:
        """Count the end of a client.

        Args:
            reason: the reason, as in the log.
            seconds: how long the client was connected.
        """
        self._connected -= 1
        _counter_of(self._closed, _CLOSING_REASONS.get(reason, _OTHER)).inc()
        self._connection_s.observe(seconds)

    def message_in(self, event: str) -> None:
        """Count an event from a client."""
        _counter_of(self._messages_in, event if event in _CLIENT_EVENTS else _OTHER).inc()

    def messages_out(self, event: str, recipients: int) -> None:
        """Count an event queued for clients.

        Args:
            event: the event's name.
            recipients: the number of clients.
        """
        _counter_of(self._messages_out, _FAMILIES.get(event, _OTHER)).inc(recipients)

    def fanned_out(self, elapsed_ns: int) -> None:
        """Note the time from the queueing of an event to its last write, ns."""
        self._fanout_s.observe(elapsed_ns / _NS_PER_S)

    def collected(self, generation: int, seconds: float) -> None:
        """Note a pause of the garbage collector, s."""
        self._gc_pause_s.labels(str(generation)).observe(seconds)
        self._gc_pause_max_s.note(seconds)

    def watch_transport(
        self,
        *,
        waiting_bytes: Callable[[], float],
        waiting_sends: Callable[[], float],
        conflated: Callable[[], float],
        sent_bytes: Callable[[], float],
        sessions: Callable[[], float],
        http_connections: Callable[[], float],
        tasks: Callable[[], float],
    ) -> None:
        """Set the functions that each scrape reads.

        Args:
            waiting_bytes: bytes queued for clients.
            waiting_sends: sends queued in the lanes.
            conflated: events replaced so far.
            sent_bytes: bytes of packets written so far.
            sessions: Engine.IO sessions.
            http_connections: plain HTTP connections.
            tasks: unfinished tasks.
        """
        self._sessions.set_function(sessions)
        self._http_connections.set_function(http_connections)
        self._tasks.set_function(tasks)
        self._waiting_bytes.set_function(waiting_bytes)
        self._waiting_sends.set_function(waiting_sends)
        self._followed.append(Followed(self._conflated_events, conflated))
        self._followed.append(Followed(self._sent_bytes, sent_bytes))

    def watch_ready(self, is_ready: Callable[[], bool]) -> None:
        """Set the function that returns whether the gateway accepts new clients."""
        self._ready.set_function(is_ready)

    def watch_log(self, dropped: Callable[[], int]) -> None:
        """Set the function that returns the number of dropped log lines so far."""
        self._followed.append(Followed(self._log_lines_dropped, dropped))

    def watch_siblings(self, passed: Callable[[], int]) -> None:
        """Set the function that returns the number of passed connections so far."""
        self._followed.append(Followed(self._passed, passed))

    def watch_market(
        self,
        *,
        replaced: Callable[[], float],
        taken: Callable[[], float],
        stale: Callable[[], float],
    ) -> None:
        """Set the functions that each scrape reads of the market source.

        Args:
            replaced: records replaced so far.
            taken: symbols that the feed delivers.
            stale: those of them that are stale.
        """
        self._market_symbols.set_function(taken)
        self._market_stale_symbols.set_function(stale)
        self._followed.append(Followed(self._market_replaced, replaced))

    def watch_nodes(
        self,
        *,
        nodes: Callable[[], float],
        entries: Callable[[], float],
        skipped: Callable[[], float],
        silence_s: Callable[[], float],
    ) -> None:
        """Set the functions that each scrape reads of the log of the nodes.

        Args:
            nodes: nodes that share the log.
            entries: entries that this node has applied.
            skipped: those that it could not read.
            silence_s: time since it heard itself, s.
        """
        self._nodes.set_function(nodes)
        self._log_silence_s.set_function(silence_s)
        self._followed.append(Followed(self._log_entries, entries))
        self._followed.append(Followed(self._log_skipped, skipped))

    def publications_failed(self, count: int) -> None:
        """Count publications that the log did not take."""
        self._publications_failed.inc(count)

    def market_delivered(self, event: str) -> None:
        """Count a record of the market feed.

        Args:
            event: the name of the event that it becomes.
        """
        _counter_of(self._market_records, event).inc()

    def watch_subscriptions(self, counts: Callable[[], Mapping[Channel, int]]) -> None:
        """Set the function that returns the number of subscriptions of each channel."""
        for channel in Channel:
            gauge = self._subscriptions.labels(channel.value)
            gauge.set_function(partial(_count_of, counts, channel))

    def limit_violated(self, limit: LimitName) -> None:
        """Count an event that a rolling limit refused."""
        self._limit_violations.labels(limit.value).inc()

    def address_refused(self, reason: AddressLimit) -> None:
        """Count a session that was refused by address."""
        self._address_refusals.labels(reason.value).inc()

    def authentication_failed(self, code: ErrorCode) -> None:
        """Count a handshake or a request with a refused token."""
        self._authentication_failures.labels(code.value).inc()

    def handler_failed(self) -> None:
        """Count an event handler that failed unexpectedly."""
        self._handler_errors.inc()

    def loop_lagged(self, seconds: float) -> None:
        """Note the delay of a timer, s."""
        self._loop_lag_s.observe(seconds)
        self._loop_lag_max_s.note(seconds)

    def fanout_held(self, seconds: float) -> None:
        """Note a hold of the event loop by the fan-out, s."""
        self._hold_max_s.note(seconds)

    def turn_window(self) -> None:
        """Begin a new window of the maxima; to be called each ``MAXIMUM_WINDOW_S``."""
        for maximum in (self._loop_lag_max_s, self._gc_pause_max_s, self._hold_max_s):
            maximum.turn()

    def expose(self, accept: str = "", *, has_node: bool = False) -> tuple[bytes, str]:
        """Return the metrics in the format that a scraper prefers, and its content type.

        Reading the metrics changes none of them.

        Args:
            accept: the scraper's header ``Accept``: Prometheus's text format by default, or
                OpenMetrics.
            has_node: whether each series has the label ``node``.
        """
        for followed in self._followed:
            followed.catch_up()
        encode, content_type = choose_encoder(accept)
        shown: Collector = WithoutCreated(self.registry)
        if has_node:
            shown = WithNode(shown, self._node)
        return encode(shown), content_type

    def _show_zeros(self) -> None:
        """Create every series, so that an event that has not happened reads 0."""
        for event in (*_CLIENT_EVENTS, _OTHER):
            self._messages_in.labels(event)
        for name, row in EVENTS.items():
            if row.family is Family.MARKET:
                self._market_records.labels(name)
        for family in Family:
            self._messages_out.labels(family.value)
        for address_limit in AddressLimit:
            self._address_refusals.labels(address_limit.value)
        for limit in LimitName:
            self._limit_violations.labels(limit.value)
        for code in (ErrorCode.AUTH_MISSING, ErrorCode.AUTH_FAILED, ErrorCode.TOKEN_EXPIRED):
            self._authentication_failures.labels(code.value)
        for generation in range(3):
            self._gc_pause_s.labels(str(generation))
        for reason in (*_CLOSING_REASONS.values(), _OTHER):
            self._closed.labels(reason)
        self.watch_subscriptions(dict[Channel, int])

    def _gauge(self, name: str, *labels: str) -> Gauge:
        return Gauge(name, OWN_METRICS[name], labels, registry=self.registry)

    def _counter(self, name: str, *labels: str) -> Counter:
        return Counter(name, OWN_METRICS[name], labels, registry=self.registry)

    def _histogram(self, name: str, buckets_s: tuple[float, ...]) -> Histogram:
        return Histogram(name, OWN_METRICS[name], buckets=buckets_s, registry=self.registry)


def metrics_table() -> str:
    """Return the metrics as the Markdown table of the documentation."""
    lines = ["| metric | description |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in OWN_METRICS.items()]
    lines += [f"| `{name}` | process metric of the Prometheus client |" for name in PROCESS_METRICS]
    return "\n".join(lines) + "\n"
