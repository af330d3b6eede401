"""Dead peers: the gateway's detection time, compared with the predicted band."""

from __future__ import annotations

from typing import Final

from loadtests.results import DeadPeerOutcome, Event, Series
from reports.measures.latency import measure_members
from reports.measures.measurement import Measure, Measurement, MeasureQuantile, absent, exact
from reports.run_frames import RunFrames

_NO_PEER: Final = "the scenario has no dead_peer users"
_OUTCOMES: Final = {
    "dead_peer.early": (DeadPeerOutcome.EARLY,),
    "dead_peer.late": (DeadPeerOutcome.LATE, DeadPeerOutcome.UNNOTICED),
}
_KINDS: Final = {
    "dead_peer.mute": ("mute", Series.DEAD_PEER_MUTE),
    "dead_peer.no_pong": ("no-pong", Series.DEAD_PEER_NO_PONG),
    "dead_peer.stalled": ("stalled", Series.DEAD_PEER_STALLED),
}


def _count_outcomes(metric: str) -> Measure:
    def measure(run: RunFrames) -> Measurement:
        if run.scenario.users.dead_peer is None:
            return absent(_NO_PEER)
        rows = run["events"]
        outcomes = rows.loc[rows["event"] == str(Event.DEAD_PEER), "outcome"]
        if outcomes.empty:
            return absent(run.absences.get("events") or "no dead peer was followed to its end")
        wanted = [str(outcome) for outcome in _OUTCOMES[metric]]
        return exact(int(outcomes.isin(wanted).sum()), len(outcomes))

    return measure


def _measure_notice(metric: str) -> MeasureQuantile:
    kind, series = _KINDS[metric]

    def measure(run: RunFrames, statistic: str) -> Measurement:
        peers = run.scenario.users.dead_peer
        if peers is None:
            return absent(_NO_PEER)
        if kind not in peers.kinds:
            return absent(f"the scenario has no {kind} peer")
        rows = run["events"]
        mine = (rows["event"] == str(Event.DEAD_PEER)) & (rows["detail"] == kind)
        never = int((mine & (rows["outcome"] == str(DeadPeerOutcome.UNNOTICED))).sum())
        return measure_members(
            run, series, statistic, never=never, nobody=f"no {kind} peer was detected"
        )

    return measure


QUANTILES: Final[dict[str, MeasureQuantile]] = {kind: _measure_notice(kind) for kind in _KINDS}
MEASURES: Final[dict[str, Measure]] = {metric: _count_outcomes(metric) for metric in _OUTCOMES}
