"""Instruments: the metrics of a host's tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.metrics import Histogram, Meter

__all__ = ["Instruments"]

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_LONG_SECONDS: Final = (*_SECONDS[5:], 163.84, 327.68, 655.36, 1310.72, 2621.44, 5242.88)
_START_SECONDS: Final = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048)
_TOKENS: Final = tuple(4**power for power in range(14))
"""Boundaries of buckets: as the conventions have them, but for tasks, which may take long, and for starts."""

Attributes = Mapping[str, str]


class Instruments:
    """See the module, and `docs/telemetry.md`. Any thread may record.

    Args:
        meter: makes them.
    """

    def __init__(self, meter: Meter) -> None:
        def histogram(name: str, what: str, unit: str, boundaries: tuple[float, ...]) -> Histogram:
            return meter.create_histogram(name, unit, what, explicit_bucket_boundaries_advisory=boundaries)

        self._agents = histogram(
            "gen_ai.invoke_agent.duration", "From a task's acceptance to its end.", "s", _LONG_SECONDS
        )
        self._tools = histogram("gen_ai.execute_tool.duration", "How long tools took.", "s", _SECONDS)
        self._models = histogram("gen_ai.client.operation.duration", "How long models took.", "s", _SECONDS)
        self._tokens = histogram("gen_ai.client.token.usage", "Tokens of a turn.", "{token}", _TOKENS)
        self._starts = histogram(
            "subactors.task.start.duration", "From a slot to a process at work.", "s", _START_SECONDS
        )
        self._ended = meter.create_counter("subactors.task.ended", "{task}", "Tasks that have ended, by status.")
        self._restarts = meter.create_counter("subactors.task.restarts", "{restart}", "Attempts after the first.")
        self._alive = meter.create_up_down_counter("subactors.tasks.alive", "{task}", "Tasks that have a slot.")
        self._queued = meter.create_up_down_counter("subactors.queue.length", "{task}", "Tasks that wait for a slot.")

    def queue(self, change: int) -> None:
        """Count tasks into the queue, or out of it."""
        self._queued.add(change)

    def alive(self, change: int) -> None:
        """Count tasks that have got a slot, or given it back."""
        self._alive.add(change)

    def started(self, seconds: float, agent: str) -> None:
        """Note how long it took until a task was at work."""
        self._starts.record(seconds, {"gen_ai.agent.name": agent})

    def restarted(self, agent: str, kind: str) -> None:
        """Count a restart, and what kind of end it follows."""
        self._restarts.add(1, {"gen_ai.agent.name": agent, "error.type": kind})

    def ended(self, seconds: float, agent: str, status: str, kind: str) -> None:
        """Count the end of a task."""
        error = {"error.type": kind} if kind else {}
        self._ended.add(1, {"gen_ai.agent.name": agent, "subactors.task.status": status, **error})
        self._agents.record(seconds, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent, **error})

    def called(self, seconds: float, agent: str, tool: str, error: Attributes) -> None:
        """Note how long a tool took."""
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.agent.name": agent, "gen_ai.tool.name": tool}
        self._tools.record(seconds, {**attributes, **error})

    def asked(self, seconds: float, model: Attributes, error: Attributes, tokens: Mapping[str, int]) -> None:
        """Note how long a model took, and the tokens by their type; of 0 nobody knows."""
        attributes = {"gen_ai.operation.name": "chat", **model}
        self._models.record(seconds, {**attributes, **error})
        for kind, count in tokens.items():
            if count:
                self._tokens.record(count, {**attributes, "gen_ai.token.type": kind})
