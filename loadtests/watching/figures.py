"""The names of the witness's metrics: one list for the witness, the rules and the documents."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

BOUNDS_S: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the buckets of every histogram of the witness, s."""


class DeliveryOutcome(StrEnum):
    """What became of a delivery; the columns of the ledger."""

    RECEIVED = "received"
    CONFLATED = "conflated"
    LOST = "lost"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    LATE = "late"
    LEAKED = "leaked"


class Finding(StrEnum):
    """A promise of the contract that the gateway broke."""

    LOST = "lost"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    LATE = "late"
    LEAKED = "leaked"
    FALSE_CONFLATION = "false_conflation"
    ALTERED = "altered"
    FOREIGN = "foreign"
    PRIVATE_FIELD = "private_field"
    UNSUBSCRIBED = "unsubscribed"
    OVER_RATE = "over_rate"
    SNAPSHOT = "snapshot"
    ANSWER = "answer"
    HEARTBEAT_MISSED = "heartbeat_missed"
    HEARTBEAT_EXTRA = "heartbeat_extra"
    HEARTBEAT_LATE = "heartbeat_late"
    RETURN_LOST = "return_lost"
    RETURN_DOUBLED = "return_doubled"
    STRANDED = "stranded"
    LEFT_OPEN = "left_open"
    PEER_UNNOTICED = "peer_unnoticed"
    LIMIT = "limit"
    TOKEN_ACCEPTED = "token_accepted"  # noqa: S105 - no secret
    TOKEN_OVERSTAYED = "token_overstayed"  # noqa: S105 - no secret


CLIENTS: Final = "tidegate_witness_clients"
CONNECTED: Final = "tidegate_witness_connected_clients"
ROUNDS: Final = "tidegate_witness_rounds_total"
DELIVERIES: Final = "tidegate_witness_deliveries_total"
FINDINGS: Final = "tidegate_witness_findings_total"
ERRORS: Final = "tidegate_witness_errors_total"
RECONNECTS: Final = "tidegate_witness_reconnects_total"
PUSH: Final = "tidegate_witness_push_seconds"
PUSH_SERVICE: Final = "tidegate_witness_push_service_seconds"
PUBLISH: Final = "tidegate_witness_publish_seconds"
CONNECT: Final = "tidegate_witness_connect_seconds"
ACK: Final = "tidegate_witness_ack_seconds"
HEARTBEAT_GAP: Final = "tidegate_witness_heartbeat_gap_seconds"
HEARTBEAT_ERROR: Final = "tidegate_witness_heartbeat_error_seconds"

WITNESS_METRICS: Final[Mapping[str, str]] = {
    CLIENTS: "Clients that the witness keeps.",
    CONNECTED: "Clients of the witness that are connected.",
    ROUNDS: "Rounds that the witness has closed.",
    DELIVERIES: "Deliveries to the witness's clients, by outcome.",
    FINDINGS: "Broken promises of the gateway, by finding.",
    ERRORS: "Connections, requests and publications of the witness that failed.",
    RECONNECTS: "Connections of the witness that the gateway or the network ended.",
    PUSH: "One-way push time, from the publication of a canary to its read.",
    PUSH_SERVICE: "One-way push time, from the sequence number to the read.",
    PUBLISH: "Response time of a publish request.",
    CONNECT: "Time from the first packet of a connection to its welcome event.",
    ACK: "Acknowledgement round trip of a request.",
    HEARTBEAT_GAP: "Time between two heartbeats in a row at one client.",
    HEARTBEAT_ERROR: "Difference of a heartbeat gap from the interval.",
}
"""Each metric of the witness and its description."""


def witness_table() -> str:
    """Return the metrics as a Markdown table."""
    lines = ["| metric | description |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in WITNESS_METRICS.items()]
    return "\n".join(lines) + "\n"
