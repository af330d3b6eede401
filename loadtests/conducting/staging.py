"""A run's stage, as the process with the run directory and each worker alike set it up."""

from __future__ import annotations

from locust.env import Environment

from loadtests.behaviours.stage import Stage
from loadtests.health.gateway_clock import GatewayClock
from loadtests.plan.division import Division, Places
from loadtests.plan.messages import Assignment
from loadtests.plan.schedule import ArrivalPlan, plan_of
from loadtests.reading.pushes import PushTable
from loadtests.record.recording import Recorder
from scenarios.schema import Scenario


def plan_sessions(scenario: Scenario, assignment: Assignment, shift_ns: int = 0) -> ArrivalPlan:
    """Return when each session of a run is due: the same in every process of it.

    Args:
        scenario: what is run.
        assignment: rate and first moment, by the clock of the master.
        shift_ns: what to add to the master's times to get this process's.
    """
    return plan_of(
        scenario.phases.arrivals,
        first_ns=assignment.session_first_ns + shift_ns,
        rate_per_s=assignment.session_rate,
        seed=f"{scenario.seed}:sessions",
    )


def take_gateway_clock(environment: Environment, clock: GatewayClock) -> None:
    """Have an environment's pushes timed by the gateway's clock, as far as it is known."""
    intake = PushTable.of(environment).intake
    intake.offset_ns = None  # another run's may have been another gateway's

    def take(offset_ns: int) -> None:
        intake.offset_ns = offset_ns

    clock.listen(take)


def set_stage(
    scenario: Scenario,
    assignment: Assignment,
    division: Division,
    *,
    recorder: Recorder,
    secret: str,
    shift_ns: int = 0,
) -> Stage:
    """Return the stage of this process's users."""
    return Stage(
        scenario=scenario,
        secret=secret,
        recorder=recorder,
        t0_ns=recorder.t0_ns,
        places=Places(division),
        sessions=plan_sessions(scenario, assignment, shift_ns),
        session_count=assignment.session_count,
    )
