"""The scenarios by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..contenders.base import Contender
from ..results import Recorder
from . import (
    awaits,
    back_to_back,
    cold_start,
    command_line,
    crash,
    executors,
    fan_out,
    flood,
    idle,
    isolation,
    mapping,
    memory,
    nodes,
    remembered,
    round_trip,
    run_returns,
    start,
    start_llm,
    stop,
    stream,
    submit,
)
from .base import Scenario, Size

__all__ = ["NODE_SCENARIOS", "SCENARIOS", "measure_of"]

NODE_SCENARIOS: Final = nodes.NODE_SCENARIOS
"""Those of the benchmark of nodes alone."""

SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.name: scenario
    for scenario in (
        start.SCENARIO,
        back_to_back.SCENARIO,
        start_llm.SCENARIO,
        run_returns.SCENARIO,
        run_returns.WITHOUT_REST,
        submit.SCENARIO,
        fan_out.SCENARIO,
        fan_out.WITHOUT_REST,
        mapping.SCENARIO,
        awaits.SCENARIO,
        round_trip.SCENARIO,
        stream.SCENARIO,
        flood.SCENARIO,
        stop.SCENARIO,
        crash.SCENARIO,
        memory.SCENARIO,
        memory.LLM_SCENARIO,
        executors.SCENARIO,
        cold_start.SCENARIO,
        command_line.SCENARIO,
        idle.SCENARIO,
        remembered.SCENARIO,
        remembered.SOME_RUNNING,
    )
}


def measure_of(name: str) -> Callable[[Contender, Size, Recorder], None]:
    """Return what a host is to do for a scenario, or for its part of the isolation matrix."""
    match name:
        case "isolation":
            return isolation.fault
        case "killed":
            return isolation.killed
        case _:
            return (NODE_SCENARIOS.get(name) or SCENARIOS[name]).measure
