"""The results contract: the files and columns of a run directory.

The load laboratory writes these files and the reports read them. The two
packages share this module and nothing else. It imports only the standard library.

A run directory is ``runs/<UTC time>_<scenario>_<short id>/``. During a run,
each table grows as Arrow IPC streams, ``segments/<table>.<writer>.arrow``,
flushed every second. At the end they become ``<table>.parquet``. All durations
are integer nanoseconds. ``t_s`` is whole seconds of the monotonic clock since
the start of the run. The module is long because it declares every name once;
most of it is the list of columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final

FORMAT_VERSION: Final = 3

MANIFEST: Final = "manifest.json"
SCENARIO: Final = "scenario.toml"
BUDGETS: Final = "budgets.toml"  # the file given with --budgets; absent without one
VERDICT: Final = "verdict.json"
JUNIT: Final = "junit.xml"
SUMMARY: Final = "summary.md"
REPORT: Final = "report.html"
CAPACITY: Final = "capacity.json"
COMPARISON: Final = "compare.json"
LOGS: Final = "logs"
SEGMENTS: Final = "segments"
PROFILE: Final = "gateway-profile.txt"  # in LOGS; py-spy's stacks, one a line with its samples


class RunStatus(StrEnum):
    """How far a run got. A run that ended with ``running`` in its manifest has crashed."""

    RUNNING = "running"  # the run goes on, or its processes crashed
    COMPLETE = "complete"  # the load ran for its whole length
    INTERRUPTED = "interrupted"  # a person, a signal or a limit ended the load early
    ABORTED = "aborted"  # a process of the run was lost


class CutBy(StrEnum):
    """What ended the load early: ``cut_by`` in a manifest; its ``cut`` has the words."""

    GROSS_BREACH = "gross-breach"  # a budget was broken grossly, which is a FAIL
    MAX_DURATION = "max-duration"  # the command allowed no more time


class Strain(StrEnum):
    """Which limit the generator broke in a second: ``strains`` in ``logs/live.json``."""

    SHARE = "own-share"  # its own share of a push, p99
    CPU = "cpu"  # CPU use of its busiest process
    CORE_WAIT = "core-wait"  # it waited for a core longer than the gateway's CPU time allows
    STEAL = "steal"  # by the host, of the machine
    COLLECTION = "garbage-collection"  # the longest


class Verdict(StrEnum):
    """The verdict on a run or on one budget."""

    PASS = "PASS"  # noqa: S105 - a verdict
    """The whole interval keeps the limit; of a run: every budget passes."""
    FAIL = "FAIL"
    """The whole interval breaks the limit; of a run: a budget fails."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """The limit lies inside the interval, or there are too few values."""
    INVALID = "INVALID"
    """The generator, a lost process or the host's disturbance spoiled the figures."""


class ExitCode(IntEnum):
    """Exit codes of commands that give a verdict, explained in [commands.md](commands.md)."""

    PASS = 0
    BUDGET_BROKEN = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INVALID = 4
    GATEWAY_FAILED = 5
    INTERRUPTED = 130


EXIT_CODES: Final[Mapping[ExitCode, str]] = {
    ExitCode.PASS: "every budget passes",
    ExitCode.BUDGET_BROKEN: "a budget is broken",
    ExitCode.USAGE: "the scenario, a setting, the target, an output or the command line is wrong; "
    "every problem is listed, and nothing was started or changed",
    ExitCode.INCONCLUSIVE: "a budget is undecided, and the scenario's policy makes that a failure",
    ExitCode.INVALID: "the figures cannot be trusted: the generator was saturated, the host "
    "disturbed the run, or the publisher, a worker or an external target was lost; or a command "
    "failed: a full disk, a lost folder, a fault of Tidegate",
    ExitCode.GATEWAY_FAILED: "the embedded gateway did not start, or died",
    ExitCode.INTERRUPTED: "interrupted; the run is kept",
}
"""The meaning of each exit code, for the documents."""


class Phase(StrEnum):
    """The phase of a second. Times are judged in the steady phase, counts in every phase."""

    RAMP = "ramp"  # users arrive
    WARM_UP = "warm-up"  # all users are there; times are not judged yet
    STEADY = "steady"  # times are judged
    DRAIN = "drain"  # nothing is sent; messages under way arrive


class Series(StrEnum):
    """What a histogram measures. Every value is a duration in nanoseconds, never negative."""

    PUSH = "push"
    """Push one-way, response: read stamp − ``srcTs`` (the publisher's intended time)."""
    PUSH_SERVICE = "push_service"
    """Push one-way, service: read stamp − ``ts`` (when the gateway assigned the number)."""
    NODE_PUSH = "node_push"
    """Push one-way by node: response, or service without ``srcTs``; with several nodes."""
    ACK = "ack"
    """Acknowledgement round trip, response: done − intended."""
    ACK_SERVICE = "ack_service"
    """Acknowledgement round trip, service: done − sent."""
    CONNECT = "connect"
    """From the first SYN to the welcome event."""
    SESSION = "session"
    """A virtual user's first connection, response: welcome − intended arrival."""
    SESSION_DELAY = "session_delay"
    """Delay of a virtual user's arrival: started − intended. The generator causes it."""
    HEARTBEAT_GAP = "heartbeat_gap"
    """Time between two consecutive heartbeats at one client."""
    HEARTBEAT_ERROR = "heartbeat_error"
    """|gap − the interval the welcome announced|."""
    SCHEDULE_DELAY = "schedule_delay"
    """Delay of a virtual user's request: sent − intended. The generator causes it."""
    PUBLISH_DELAY = "publish_delay"
    """Delay of a publication: sent − intended. The publisher causes it."""
    PUBLISH_ACK = "publish_ack"
    """Response time of a publish request: answered − intended."""
    LOOP_LAG = "loop_lag"
    """How late the generator's loop ran a tick due every 10 ms, with skipped ticks filled in."""
    GATEWAY_LAG = "gateway_lag"
    """Longest delay of a timer in the gateway's loop, each second, as its metrics say."""
    GATEWAY_FANOUT = "gateway_fanout"
    """Mean time from queueing an event to its last write, each second, as its metrics say."""
    GENERATOR_SHARE = "generator_share"
    """Delay in the generator, sampled: read stamp − kernel receive stamp of the newest bytes."""
    ACCEPT = "accept"
    """From a publication's intended time to its numbering, once each: ``ts`` − ``srcTs``."""
    KERNEL = "kernel"
    """From numbering to the client's kernel, sampled: kernel receive stamp − ``ts``."""
    FANOUT_SKEW = "fanout_skew"
    """From the first to the last read stamp of one publication within one process."""
    STALENESS = "staleness"
    """Age of the newest price held, now − ``ts``, recorded every second for a sample of users."""
    DEAD_PEER_MUTE = "dead_peer_mute"
    """From the death of a peer that neither reads nor writes to the end of its connection."""
    DEAD_PEER_NO_PONG = "dead_peer_no_pong"
    """From the last pong of a peer that reads and sends requests, but no pongs, to its end."""
    DEAD_PEER_STALLED = "dead_peer_stalled"
    """From the last read of a peer that sends pongs on schedule to the end of its connection."""
    STORM_BACK = "storm_back"
    """From the command or the loss that ended a client's connection to its next welcome."""
    STORM_FRESH = "storm_fresh"
    """From the same moment to the first market event after that welcome."""
    RETURN_CURRENT = "return_current"
    """From the first SYN of a user that returns to the last private event that it missed."""
    RETRY_ERROR = "retry_error"
    """|``retryAfter`` − the time until the rule accepts one more event|."""
    EXPIRY = "expiry"
    """Close of an expired connection − (``exp`` + leeway). Earlier closes are only counted."""
    DRAIN_NOTICE = "drain_notice"
    """From the terminate command to ``server:draining`` at a client."""
    LLM_FIRST_TOKEN = "llm_first_token"  # noqa: S105 - a series
    """From the intended time of a request to a model to the first token of its answer."""
    LLM_GAP = "llm_gap"
    """Time between two consecutive token events of one answer."""
    LLM_CANCEL = "llm_cancel"
    """From the cancel of a model's answer to ``llm:stream:cancelled``."""
    DRAIN_CLOSE = "drain_close"
    """From the terminate command to the end of a client's connection."""
    ORDER_ACCEPT = "order_accept"
    """HTTP round trip of an order, response: answered − intended."""
    ORDER_FILL = "order_fill"
    """From a market order's intended time to the read stamp of its ``order:filled``."""


class Event(StrEnum):
    """Rare events, which have a row each in ``events``."""

    PHASE = "phase"  # a phase begins; outcome: its name
    CONNECT = "connect"  # a user's first welcome; value: from the first SYN
    REFUSE = "refuse"  # a refused connection; outcome: the code
    DISCONNECT = "disconnect"  # a connection ended; outcome: EndOutcome or the error
    RECONNECT = "reconnect"  # a later welcome of a user; value: from the first SYN
    LIMIT = "limit"  # a decision on an abuser's event; detail: «connection 0», then the limit
    HEARTBEAT_MISSED = "heartbeat-missed"  # one missing heartbeat; value: the gap
    COMMAND = "command"  # a command of the scenario; outcome: its name; group: its target
    ATTEMPT = "attempt"  # a connection attempt after a drop; outcome: see AttemptOutcome
    DEAD_PEER = "dead-peer"  # outcome: see DeadPeerOutcome; value: time to notice; detail: kind
    DEAD_PEER_BAND = "dead-peer-band"  # sent: death; value: earliest end; t: latest end
    LEAK = "leak"  # an event that this user must not see; outcome: see LeakOutcome
    WRONG = "wrong"  # a promise of the contract that was broken; outcome: see WrongOutcome
    SNAPSHOTS = "snapshots"  # all snapshots that one subscription is owed have come
    RETURN = "return"  # of a user with lastUserSeq; outcome: see ReturnOutcome
    AUTH = "auth"  # one authentication case; outcome: see AuthOutcome; detail: the case
    MODEL_STREAM = "model-stream"  # an answer of a model ended; outcome: see ModelOutcome
    RETRY = "retry"  # a request after retryAfter; outcome: accepted, refused
    DRAINING = "draining"  # server:draining arrived; value: reconnectAfter
    ERROR = "error"  # a failure that the scenario did not ask for; outcome: which
    LOST_PROCESS = "lost-process"  # a process of the run was lost; detail: which


class LimitOutcome(StrEnum):
    """The decision of a ``limit`` event, compared with the rule's exact window.

    The first two are right, the next two wrong. A decision that is right for one
    possible arrival time and wrong for another is ``undecidable``.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FALSE_ACCEPT = "false-accept"
    FALSE_REFUSAL = "false-refusal"
    UNDECIDABLE = "undecidable"
    NEIGHBOUR_REFUSED = "neighbour-refused"  # a client that kept to the limit was refused


class DeadPeerOutcome(StrEnum):
    """When the gateway closed a dead peer, compared with the band that its handshake predicts."""

    IN_BAND = "in-band"
    EARLY = "early"
    LATE = "late"
    UNNOTICED = "unnoticed"  # still connected at the end of the run, after its band


class AttemptOutcome(StrEnum):
    """Result of a connection attempt after a drop or during a drain."""

    WELCOME = "welcome"
    REFUSED = "refused"  # by the gateway; detail: the HTTP status and its reason
    UNREACHABLE = "unreachable"  # nothing listens at the address
    LATE = "late"  # no welcome in time
    ENDED = "ended"  # the connection ended before the welcome


class EndOutcome(StrEnum):
    """Why a ``disconnect`` was expected. Any other outcome is the error that caused it."""

    DROPPED = "dropped"  # a command told the user to disconnect
    DRAINED = "drained"  # the gateway had been told to terminate


class LeakOutcome(StrEnum):
    """Why the user must not see an event."""

    FOREIGN = "foreign"  # it names another owner
    PRIVATE_FIELD = "private-field"  # a public form with a field that only the owner may see
    UNSUBSCRIBED = "unsubscribed"  # of a room or symbol that the user is not subscribed to
    UNENTITLED = "unentitled"  # of a symbol that the user's token does not allow


class WrongOutcome(StrEnum):
    """Which promise of the contract was broken."""

    ANSWER = "answer"  # an acknowledgement or a welcome that belongs to another request or user
    ALTERED = "altered"  # an event whose payload is not the published one
    HEARTBEAT = "heartbeat"  # a heartbeat more than were due
    SNAPSHOT = "snapshot"  # a snapshot that is missing, too old, or says something else
    LEFT_OPEN = "left-open"  # a client was disconnected, and its transport was not closed
    ORDER = (
        "order"  # an order's events or answers are not in a legal order, or contradict themselves
    )
    MONEY = "money"  # a position, profit or balance that the trades do not give
    FORM = "form"  # a public form that is not what the owner was told
    STRANDED = "stranded"  # a DISCONNECT, after which a stock client stays away, without a reason


class ReturnOutcome(StrEnum):
    """What a user that returned got of its private events; the last three are of one event."""

    CURRENT = "current"  # it has all that it missed; value: from the first SYN
    RESYNC = "resync"  # the gateway did not have it all
    REPLAYED = "replayed"  # a missed event came
    LOST = "lost"  # a missed event did not come
    DOUBLED = "doubled"  # an event came that the user had


class AuthOutcome(StrEnum):
    """Result of one authentication case; the first three are right."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"  # closed at exp + leeway, with TOKEN_EXPIRED
    FALSE_ACCEPT = "false-accept"
    FALSE_REFUSAL = "false-refusal"
    WRONG_CODE = "wrong-code"  # refused with a code that differs from the contract's
    EARLY_EVENT = "early-event"  # an event arrived before authentication
    OVERSTAYED = "overstayed"  # still served at exp + leeway + one tick + the close timeout


class ModelOutcome(StrEnum):
    """How an answer of a model ended; the last two are wrong."""

    DONE = "done"
    CANCELLED = "cancelled"
    BROKEN = "broken"  # a token was lost, repeated, out of order or foreign, or the end was wrong
    UNENDED = "unended"  # no end came in time


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
_WORKER = Column("worker", "string", "", "the process that wrote the row")

_OF_A_GATEWAY: Final = (
    Column(
        "clients",
        "int64",
        "",
        "connections as the gateway counts them",
        "without /metrics",
    ),
    Column("cpu_ns", "int64", "ns", "CPU time so far", "for an external gateway"),
    Column(
        "instructions",
        "int64",
        "",
        "instructions executed in user mode so far",
        "for an external gateway and where the machine counts none",
    ),
    Column(
        "core_wait_ns",
        "int64",
        "ns",
        "time that the process waited for a core in this second",
        "when unknown",
    ),
    Column("rss_bytes", "int64", "B", "resident memory", "without /metrics"),
    Column("pss_anon_bytes", "int64", "B", "anonymous PSS", "for an external gateway"),
    Column(
        "fds",
        "int64",
        "",
        "open file descriptors, less the plain HTTP connections that the gateway reports",
        "when unknown",
    ),
    Column("messages_out", "int64", "", "messages sent so far", "without /metrics"),
    Column(
        "loop_lag_ns",
        "int64",
        "ns",
        "worst loop lag of the second, or the end of its bucket",
        "without /metrics",
    ),
    Column("sessions", "int64", "", "Engine.IO sessions", "without /metrics"),
    Column("queue_bytes", "int64", "B", "bytes queued for clients", "without /metrics"),
    Column("tasks", "int64", "", "asyncio tasks alive", "without /metrics"),
    Column(
        "gc_pause_max_ns",
        "int64",
        "ns",
        "longest garbage collection of the second, or the end of its bucket",
        "without /metrics",
    ),
)
NODE_COLUMNS: Final = tuple(column.name for column in _OF_A_GATEWAY)
"""The columns of ``nodes`` beside the second, its phase and the node."""

TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "hist": (
        _T_S,
        _PHASE,
        _WORKER,
        Column("series", "string", "", "what was measured; see Series"),
        Column(
            "family",
            "string",
            "",
            "push series: how the stream's id begins, as `price`; node_push: the node; else empty",
        ),
        Column("bucket", "int32", "", "index in the HDR layout; see bucket_range"),
        Column("count", "int64", "", "values in the bucket in this second"),
    ),
    "timeline": (
        _T_S,
        _PHASE,
        _WORKER,
        Column("clients", "int64", "", "virtual users of this process, connected and welcomed"),
        Column("offered", "int64", "", "publications, requests and sessions that were due"),
        Column("sent", "int64", "", "publications, requests and sessions that started"),
        Column("received", "int64", "", "events received by virtual users"),
        Column("bytes_received", "int64", "B", "bytes read by virtual users"),
        Column("errors", "int64", "", "failures that the scenario does not ask for"),
        Column("missed", "int64", "", "due publications, requests and sessions that never started"),
    ),
    "server": (
        _T_S,
        _PHASE,
        *_OF_A_GATEWAY,
        Column(
            "kernel_bytes",
            "int64",
            "B",
            "TCP memory of the network namespace, sockets of both sides",
            "when unknown",
        ),
    ),
    "nodes": (
        _T_S,
        _PHASE,
        Column("node", "string", "", "a gateway of several; one gateway has no rows here"),
        *_OF_A_GATEWAY,
    ),
    "generator": (
        _T_S,
        _PHASE,
        _WORKER,
        Column("cpu_ns", "int64", "ns", "CPU time of the process in this second"),
        Column("run_queue_ns", "int64", "ns", "time waiting for a core", "when unknown"),
        Column("steal_ns", "int64", "ns", "host steal in this second", "when unknown"),
        Column(
            "loop_lag_max_ns", "int64", "ns", "worst loop lag of the second", "when no tick ran"
        ),
        Column("schedule_delay_max_ns", "int64", "ns", "worst sent − intended", "when idle"),
        Column(
            "share_max_ns",
            "int64",
            "ns",
            "worst read stamp − kernel receive stamp",
            "when none was sampled",
        ),
        Column("gc_pause_ns", "int64", "ns", "time in garbage collections in this second"),
        Column("gc_pause_max_ns", "int64", "ns", "longest collection of the second", "if none"),
    ),
    "ledger": (
        _WORKER,
        Column("stream", "string", "", "stream id, as in the contract"),
        Column("group", "string", "", "behaviour of the clients: subscriber, trader, …"),
        Column("clients", "int64", "", "how many of these clients were owed deliveries"),
        Column(
            "owed", "int64", "", "deliveries owed: numbers from join to leave, over all clients"
        ),
        Column("received", "int64", "", "deliveries received, each number once"),
        Column(
            "conflated", "int64", "", "owed, but replaced by a newer one that prevSeq accounts for"
        ),
        Column("lost", "int64", "", "owed, not conflated and never received"),
        Column("duplicate", "int64", "", "numbers received again"),
        Column("reordered", "int64", "", "numbers received after a later one"),
        Column("late", "int64", "", "owed and received, but after the answer to the unsubscribe"),
        Column(
            "leaked", "int64", "", "received, not owed: another user's, or outside join and leave"
        ),
    ),
    "clients": (
        _WORKER,
        Column("user", "string", "", "the virtual user"),
        Column("group", "string", "", "its behaviour"),
        Column("place", "int64", "", "its place in the order of arrival, from 0"),
        Column("welcome_ns", "int64", "ns", "first welcome, since the run's start", "if never"),
        Column("connects", "int64", "", "welcomes that it received"),
        Column("pushes", "int64", "", "pushes timed in the steady phase"),
        Column("push_sum_ns", "int64", "ns", "sum of push, or of push_service without srcTs"),
        Column("push_max_ns", "int64", "ns", "largest of these", "when there was none"),
    ),
    "events": (
        Column("t_ns", "int64", "ns", "since the run's start, monotonic"),
        _WORKER,
        Column("event", "string", "", "what happened; see Event"),
        Column("user", "string", "", "the virtual user; empty when there is none"),
        Column("group", "string", "", "its behaviour"),
        Column("outcome", "string", "", "accepted, refused, an error code, a phase's name, …"),
        Column("sent_ns", "int64", "ns", "when it was sent, since the run's start", "if unsent"),
        Column(
            "value_ns",
            "int64",
            "ns",
            "a duration that belongs to it, such as retryAfter",
            "if none",
        ),
        Column("detail", "string", "", "text for a human"),
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
    Column("format_version", "int64", "", "format version of the runs"),
    Column("scenario", "string", "", "scenario of every block"),
    Column("verdict", "string", "", "the worst verdict of the budgets and of the conditions"),
    Column("exit_code", "int64", "", "exit code of the command"),
    Column("reasons", "list", "", "why the verdict is not PASS, worst first"),
    Column(
        "method",
        "string",
        "",
        "slices, pairs (of blocks), samples (blocks did not alternate) or single",
    ),
    Column("pairs", "int64", "", "pairs that count; without pairs, blocks of the smaller side"),
    Column("undecided", "bool", "", "whether more pairs could decide the verdict; a FAIL stays"),
    Column("base", "list", "", "run ids of the base, in order of time"),
    Column("head", "list", "", "run ids of the head, in order of time"),
    Column("excluded", "list", "", "blocks that do not count: run_id and why"),
    Column("advice", "string", "", "why the comparison only advises; empty when it decides"),
    Column(
        "budgets",
        "list",
        "",
        "as in verdict.json; base and head are medians over blocks; value is head/base; visible is "
        "the smallest visible change (0.18 is +18 %); ratios has head/base of each pair",
    ),
)
"""The members of ``compare.json``, in order."""

# Buckets: the layout of HdrHistogram (Gil Tene) at three significant digits and a
# lowest discernible value of 1 ns: 2,048 sub-buckets in the first bucket, 1,024 in
# each later one, whose width doubles; a value is off by less than 1 part in 1,024.
_HALF_BITS: Final = 10
_SUB_BUCKETS: Final = 2 << _HALF_BITS
MAX_VALUE_NS: Final = (1 << 42) - 1  # about 73 minutes


def bucket_of(value_ns: int) -> int:
    """Return the histogram bucket of a duration.

    Raises:
        ValueError: the duration is negative or over ``MAX_VALUE_NS``; it is never clamped.
    """
    if not 0 <= value_ns <= MAX_VALUE_NS:
        raise ValueError(f"a span of {value_ns} ns is outside 0 to {MAX_VALUE_NS} ns")
    exponent = max(0, value_ns.bit_length() - _HALF_BITS - 1)
    return (exponent << _HALF_BITS) + (value_ns >> exponent)


def bucket_range(bucket: int) -> tuple[int, int]:
    """Return the shortest and the longest duration (ns, both included) of a bucket.

    Raises:
        ValueError: there is no such bucket.
    """
    if not 0 <= bucket <= bucket_of(MAX_VALUE_NS):
        raise ValueError(f"bucket {bucket} is outside 0 to {bucket_of(MAX_VALUE_NS)}")
    if bucket < _SUB_BUCKETS:
        return bucket, bucket
    exponent = (bucket >> _HALF_BITS) - 1
    low = (bucket - (exponent << _HALF_BITS)) << exponent
    return low, low + (1 << exponent) - 1
