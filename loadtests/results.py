"""The results contract: the files and columns of a run directory.

The load laboratory writes these, the reports read them; the two share this
module and nothing else. It uses the standard library alone.

A run directory is ``runs/<UTC time>_<scenario>_<short id>/``. While a run goes,
each table grows as Arrow IPC streams, ``segments/<table>.<writer>.arrow``,
flushed each second; at the end they become ``<table>.parquet``. All spans are
integer nanoseconds; ``t_s`` is whole seconds of the monotonic clock since the
run's start. The module is long because every name is declared here once, and
most of it is the list of columns.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

FORMAT_VERSION: Final = 3

MANIFEST: Final = "manifest.json"
SCENARIO: Final = "scenario.toml"
BUDGETS: Final = "budgets.toml"  # what was laid over the scenario's own; absent when nothing was
VERDICT: Final = "verdict.json"
JUNIT: Final = "junit.xml"
SUMMARY: Final = "summary.md"
REPORT: Final = "report.html"
CAPACITY: Final = "capacity.json"
COMPARISON: Final = "compare.json"
LOGS: Final = "logs"
SEGMENTS: Final = "segments"


class RunStatus(StrEnum):
    """How far a run came; ``running`` in a manifest that nobody writes any more is a crash."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"


class CutBy(StrEnum):
    """What ended the load early: ``cut_by`` in a manifest; its ``cut`` has the words."""

    GROSS_BREACH = "gross-breach"  # a budget was broken grossly, which is a FAIL
    MAX_DURATION = "max-duration"  # the command allowed no more time


class Strain(StrEnum):
    """Which limit the generator broke in a second: ``strains`` in ``logs/live.json``."""

    SHARE = "own-share"  # its own share of a push, p99
    CPU = "cpu"  # of its busiest process
    CORE_WAIT = "core-wait"  # longer than the gateway ran
    STEAL = "steal"  # by the host, of the machine
    COLLECTION = "garbage-collection"  # the longest


class Verdict(StrEnum):
    """What a run or one budget came to (``design``: verdicts)."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


class ExitCode(IntEnum):
    """The exit code of every command that judges."""

    PASS = 0
    BUDGET_BROKEN = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INVALID = 4
    GATEWAY_FAILED = 5
    INTERRUPTED = 130


class Phase(StrEnum):
    """Where in a run a second lies. Budgets judge the steady phase; counts judge all of them."""

    RAMP = "ramp"
    WARM_UP = "warm-up"
    STEADY = "steady"
    DRAIN = "drain"


class Series(StrEnum):
    """What a histogram measures. Every value is a span in nanoseconds, never negative."""

    PUSH = "push"
    """Push one-way, response: read stamp − ``srcTs`` (the publisher's intended time)."""
    PUSH_SERVICE = "push_service"
    """Push one-way, service: read stamp − ``ts`` (the moment the number was given)."""
    ACK = "ack"
    """Acknowledgement round trip, response: done − intended."""
    ACK_SERVICE = "ack_service"
    """Acknowledgement round trip, service: done − sent."""
    CONNECT = "connect"
    """From the first SYN to the welcome event."""
    SESSION = "session"
    """A virtual user's first connection, response: welcome − intended arrival."""
    SESSION_DELAY = "session_delay"
    """A virtual user's arrival: begun − intended. The generator's, not the gateway's."""
    HEARTBEAT_GAP = "heartbeat_gap"
    """Between two heartbeats in a row at one client."""
    HEARTBEAT_ERROR = "heartbeat_error"
    """|gap − the interval the welcome announced|."""
    SCHEDULE_DELAY = "schedule_delay"
    """A virtual user's request: sent − intended. The generator's, not the gateway's."""
    PUBLISH_DELAY = "publish_delay"
    """A publication: sent − intended. The publisher's, not the gateway's."""
    PUBLISH_ACK = "publish_ack"
    """A publish request: answered − intended."""
    LOOP_LAG = "loop_lag"
    """How late the generator's loop ran a tick due each 10 ms; skipped ticks filled in."""
    GENERATOR_SHARE = "generator_share"
    """The generator's own share: read stamp − kernel stamp of what was read last, on a sample."""
    ACCEPT = "accept"
    """A publication on its way in: ``ts`` − ``srcTs``, once for each publication."""
    KERNEL = "kernel"
    """Push from numbering to the client's kernel: kernel receive stamp − ``ts``, on a sample."""
    FANOUT_SKEW = "fanout_skew"
    """From the first to the last read stamp of one publication within one process."""
    STALENESS = "staleness"
    """Age of the newest price held, now − ``ts``, asked once a second of a sample of users."""
    DEAD_PEER_MUTE = "dead_peer_mute"
    """From the death of a peer that neither reads nor writes to the end of its connection."""
    DEAD_PEER_NO_PONG = "dead_peer_no_pong"
    """From the last pong of a peer that reads and asks, but answers no ping, to its end."""
    DEAD_PEER_STALLED = "dead_peer_stalled"
    """From the last read of a peer that writes pongs by the clock to the end of its connection."""
    STORM_BACK = "storm_back"
    """From the command or the loss that ended a member's connection to its next welcome."""
    STORM_FRESH = "storm_fresh"
    """From the same moment to the first market event after that welcome."""
    RETRY_ERROR = "retry_error"
    """|``retryAfter`` − the time after which the rule would let one event pass|."""
    EXPIRY = "expiry"
    """A connection closed for its token: close − (``exp`` + leeway); one before that is counted."""
    DRAIN_NOTICE = "drain_notice"
    """From the command to terminate to ``server:draining`` at a client."""
    DRAIN_CLOSE = "drain_close"
    """From the command to terminate to the end of a client's connection."""


class Family(StrEnum):
    """What kind of stream a push belongs to: the column ``family`` of ``hist``."""

    PRICE = "price"
    TICKER = "ticker"
    BOOK = "book"
    TRADING = "trading"
    USER = "user"
    LLM = "llm"


class Event(StrEnum):
    """What ``events`` records whole: the rare things."""

    PHASE = "phase"
    CONNECT = "connect"
    REFUSE = "refuse"
    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    LIMIT = "limit"  # a decision about an abuser's event; detail: «connection 0», then the limit
    HEARTBEAT_MISSED = "heartbeat-missed"  # one heartbeat that did not come; value: the gap, ns
    COMMAND = "command"  # one of the scenario's commands; outcome: what, group: to whom
    ATTEMPT = "attempt"  # a connection tried after a drop; outcome: see AttemptOutcome
    DEAD_PEER = "dead-peer"  # outcome: see DeadPeerOutcome; value: time to notice; detail: kind
    DEAD_PEER_BAND = "dead-peer-band"  # sent: death; value: earliest end; t: latest end
    LEAK = "leak"  # an event that this user must not see; outcome: see LeakOutcome
    AUTH = "auth"  # one case of authentication; outcome: see AuthOutcome; detail: the case
    RETRY = "retry"  # a request after retryAfter; outcome: accepted, refused
    DRAINING = "draining"  # server:draining came; value: reconnectAfter
    ERROR = "error"
    LOST_PROCESS = "lost-process"


class LimitOutcome(StrEnum):
    """What a ``limit`` event came to: the decision, held against the rule's exact window.

    The first two are right decisions, the next two wrong ones. A decision that is
    right for one possible arrival time and wrong for another is ``undecidable``.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FALSE_ACCEPT = "false-accept"
    FALSE_REFUSAL = "false-refusal"
    UNDECIDABLE = "undecidable"
    NEIGHBOUR_REFUSED = "neighbour-refused"  # somebody who kept to the limit was refused


class DeadPeerOutcome(StrEnum):
    """What became of a peer that played dead, against the band that its handshake predicts."""

    IN_BAND = "in-band"
    EARLY = "early"
    LATE = "late"
    UNNOTICED = "unnoticed"  # still connected at the end, and its band was over


class AttemptOutcome(StrEnum):
    """What came of a connection that was tried after a drop or in a drain."""

    WELCOME = "welcome"
    REFUSED = "refused"  # by the gateway, with an HTTP status; detail: which
    UNREACHABLE = "unreachable"  # nobody listens
    LATE = "late"  # no welcome in time
    ENDED = "ended"  # it ended before the welcome


class EndOutcome(StrEnum):
    """Why a ``disconnect`` was in order; any other outcome is the error that ended it."""

    DROPPED = "dropped"  # the user did it, by command
    DRAINED = "drained"  # the gateway had been told to terminate


class LeakOutcome(StrEnum):
    """What an event that a user must not see was."""

    FOREIGN = "foreign"  # it names another owner
    PRIVATE_FIELD = "private-field"  # a public form with a field that is the owner's
    UNSUBSCRIBED = "unsubscribed"  # of a room or symbol that the user does not hold


class AuthOutcome(StrEnum):
    """What came of one case of authentication; the first three are right."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"  # closed at exp + leeway, with TOKEN_EXPIRED
    FALSE_ACCEPT = "false-accept"
    FALSE_REFUSAL = "false-refusal"
    WRONG_CODE = "wrong-code"  # refused, with another code than the contract's
    EARLY_EVENT = "early-event"  # something was received before authentication
    OVERSTAYED = "overstayed"  # served after exp + leeway + what a tick takes


class Column:
    """One column of a table.

    Args:
        name: of the column.
        kind: its Arrow type.
        unit: of its values; empty where they have none.
        meaning: in words.
        absent: when a row lacks the value; empty where none may.
    """

    __slots__ = ("kind", "may_be_absent", "meaning", "name", "unit")

    def __init__(self, name: str, kind: str, unit: str, meaning: str, absent: str = "") -> None:
        self.name = name
        self.kind = kind
        self.unit = unit
        self.meaning = f"{meaning}; absent {absent}" if absent else meaning
        self.may_be_absent = bool(absent)


_T_S = Column("t_s", "int64", "s", "second of the run, from its start, monotonic")
_PHASE = Column("phase", "string", "", "ramp, warm-up, steady or drain")
_WORKER = Column("worker", "string", "", "which process wrote the row")

TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "hist": (
        _T_S,
        _PHASE,
        _WORKER,
        Column("series", "string", "", "what was measured; see Series"),
        Column("family", "string", "", "push series: kind of stream; see Family; else empty"),
        Column("bucket", "int32", "", "index in the HDR layout; see bucket_range"),
        Column("count", "int64", "", "values that fell into the bucket in this second"),
    ),
    "timeline": (
        _T_S,
        _PHASE,
        _WORKER,
        Column("clients", "int64", "", "virtual users of this process that hold a welcome"),
        Column("offered", "int64", "", "publications, requests and sessions whose time came"),
        Column("sent", "int64", "", "publications, requests and sessions that began"),
        Column("received", "int64", "", "events received by virtual users"),
        Column("bytes_received", "int64", "B", "bytes read by virtual users"),
        Column("errors", "int64", "", "failures that no scenario asked for"),
        Column(
            "missed", "int64", "", "intended publications, requests and sessions that never were"
        ),
    ),
    "server": (
        _T_S,
        _PHASE,
        Column("clients", "int64", "", "connections that the gateway counts", "without /metrics"),
        Column("cpu_ns", "int64", "ns", "CPU time since the process began", "when not ours"),
        Column(
            "core_wait_ns",
            "int64",
            "ns",
            "that it waited in the second for a core that others had",
            "when unknown",
        ),
        Column("rss_bytes", "int64", "B", "resident memory", "without /metrics"),
        Column("pss_anon_bytes", "int64", "B", "private anonymous memory", "when not ours"),
        Column(
            "fds",
            "int64",
            "",
            "open file descriptors, without those of plain HTTP that it tells",
            "when unknown",
        ),
        Column("messages_out", "int64", "", "messages sent so far", "without /metrics"),
        Column(
            "loop_lag_ns", "int64", "ns", "its loop lag, worst of the second", "without /metrics"
        ),
        Column("sessions", "int64", "", "Engine.IO sessions", "without /metrics"),
        Column("queue_bytes", "int64", "B", "bytes that wait for clients", "without /metrics"),
        Column("tasks", "int64", "", "asyncio tasks alive", "without /metrics"),
        Column(
            "gc_pause_max_ns",
            "int64",
            "ns",
            "longest garbage collection of the second",
            "without /metrics",
        ),
        Column(
            "kernel_bytes",
            "int64",
            "B",
            "TCP memory of the network namespace, both sides' sockets",
            "when unknown",
        ),
    ),
    "generator": (
        _T_S,
        _PHASE,
        _WORKER,
        Column("cpu_ns", "int64", "ns", "CPU time of the process in this second"),
        Column("run_queue_ns", "int64", "ns", "time it waited for a core", "when unknown"),
        Column("steal_ns", "int64", "ns", "time the machine's host took", "when unknown"),
        Column(
            "loop_lag_max_ns", "int64", "ns", "worst loop lag of the second", "when no tick ran"
        ),
        Column("schedule_delay_max_ns", "int64", "ns", "worst sent − intended", "when idle"),
        Column(
            "share_max_ns",
            "int64",
            "ns",
            "worst read stamp − kernel receive stamp",
            "when none was taken",
        ),
        Column("gc_pause_ns", "int64", "ns", "time in garbage collections in this second"),
        Column("gc_pause_max_ns", "int64", "ns", "its longest collection", "when there was none"),
    ),
    "ledger": (
        _WORKER,
        Column("stream", "string", "", "stream id, as in the contract"),
        Column("group", "string", "", "behaviour of the clients: subscriber, trader, …"),
        Column("clients", "int64", "", "how many of them were owed something"),
        Column("owed", "int64", "", "deliveries owed: numbers between join and leave, summed"),
        Column("received", "int64", "", "deliveries received, each number once"),
        Column("conflated", "int64", "", "owed and replaced by a newer one, as prevSeq said"),
        Column("lost", "int64", "", "owed, not conflated and never received"),
        Column("duplicate", "int64", "", "numbers received again"),
        Column("reordered", "int64", "", "numbers received after a later one"),
        Column("late", "int64", "", "owed and received, but after the answer that ended the stay"),
        Column(
            "leaked", "int64", "", "received and not owed: another's, or outside join and leave"
        ),
    ),
    "clients": (
        _WORKER,
        Column("user", "string", "", "the virtual user"),
        Column("group", "string", "", "its behaviour"),
        Column("place", "int64", "", "its place in the order of arrival, from 0"),
        Column("welcome_ns", "int64", "ns", "first welcome, since the run's start", "if never"),
        Column("connects", "int64", "", "welcomes that it got"),
        Column("pushes", "int64", "", "pushes timed in the steady phase"),
        Column("push_sum_ns", "int64", "ns", "their sum; see push, or push_service without srcTs"),
        Column("push_max_ns", "int64", "ns", "their largest", "when there was none"),
    ),
    "events": (
        Column("t_ns", "int64", "ns", "since the run's start, monotonic"),
        _WORKER,
        Column("event", "string", "", "what happened; see Event"),
        Column("user", "string", "", "the virtual user, empty when none"),
        Column("group", "string", "", "its behaviour"),
        Column("outcome", "string", "", "accepted, refused, an error code, a phase's name, …"),
        Column("sent_ns", "int64", "ns", "when it was sent, since the run's start", "if unsent"),
        Column(
            "value_ns", "int64", "ns", "a span that belongs to it, such as retryAfter", "if none"
        ),
        Column("detail", "string", "", "words for a human"),
    ),
    "sample": (
        Column("t_ns", "int64", "ns", "read stamp, since the run's start"),
        _WORKER,
        Column("user", "string", "", "the virtual user"),
        Column("stream", "string", "", "stream id"),
        Column("number", "int64", "", "seq or userSeq"),
        Column("push_ns", "int64", "ns", "read stamp − srcTs", "without srcTs"),
        Column("push_service_ns", "int64", "ns", "read stamp − ts"),
        Column("why", "string", "", "hash (1 in 1,000) or slow (the slowest of its second)"),
    ),
}
"""Every table of a run directory. Only a column that ``may_be_absent`` may hold nulls."""

COMPARISON_FIELDS: Final = (
    Column("format_version", "int64", "", "of all files here"),
    Column("scenario", "string", "", "what every block ran"),
    Column("verdict", "string", "", "the worst of the budgets and of the circumstances"),
    Column("exit_code", "int64", "", "of the command"),
    Column("reasons", "list", "", "why it is not PASS, worst first"),
    Column("method", "string", "", "pairs, samples (blocks did not alternate) or single"),
    Column("pairs", "int64", "", "that count; blocks of the smaller side where not in pairs"),
    Column("undecided", "bool", "", "whether more pairs could decide what is open"),
    Column("base", "list", "", "run ids, in the order of time"),
    Column("head", "list", "", "run ids, in the order of time"),
    Column("excluded", "list", "", "blocks that do not count: run_id and why"),
    Column("advice", "string", "", "why it only advises; empty when it decides"),
    Column(
        "budgets",
        "list",
        "",
        "as in verdict.json; base and head are medians over blocks, value is head/base, visible "
        "the smallest visible change (0.18 is +18 %), ratios that of each pair",
    ),
)
"""The members of ``compare.json``, in their order."""

# Buckets: the layout of HdrHistogram (Gil Tene) at three significant digits and a
# lowest discernible value of 1 ns: 2,048 sub-buckets in the first bucket, 1,024 in
# each later one, whose width doubles; a value is off by less than 1 part in 1,024.
_HALF_BITS: Final = 10
_SUB_BUCKETS: Final = 2 << _HALF_BITS
MAX_VALUE_NS: Final = (1 << 42) - 1  # about 73 minutes


def bucket_of(value_ns: int) -> int:
    """Return the bucket of a span.

    Raises:
        ValueError: the span is negative or over ``MAX_VALUE_NS``; it is never clamped.
    """
    if not 0 <= value_ns <= MAX_VALUE_NS:
        raise ValueError(f"a span of {value_ns} ns is outside 0 to {MAX_VALUE_NS} ns")
    exponent = max(0, value_ns.bit_length() - _HALF_BITS - 1)
    return (exponent << _HALF_BITS) + (value_ns >> exponent)


def bucket_range(bucket: int) -> tuple[int, int]:
    """Return the first and the last span (ns, both inside) of a bucket.

    Raises:
        ValueError: no span falls into such a bucket.
    """
    if not 0 <= bucket <= bucket_of(MAX_VALUE_NS):
        raise ValueError(f"bucket {bucket} is outside 0 to {bucket_of(MAX_VALUE_NS)}")
    if bucket < _SUB_BUCKETS:
        return bucket, bucket
    exponent = (bucket >> _HALF_BITS) - 1
    low = (bucket - (exponent << _HALF_BITS)) << exponent
    return low, low + (1 << exponent) - 1
