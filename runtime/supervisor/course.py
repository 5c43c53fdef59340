"""Course: what is kept of how tasks go: when each turn and each tool call was, for the journal and for telemetry.

The times are those at which the supervisor heard of it. Used in the supervisor's thread only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from ..models.base import Usage
from ..runs.journal import Journal
from ..runs.steps import Step, insert_step
from ..tasks.gateway import Caller
from ..tasks.messages import CallsBegan, RunTask, TaskReport, ToolAnswered, ToolCalled, TurnEnded
from ..tasks.turns import Asked
from .attempt import Attempt
from .outcome import Outcome
from .task import Task

if TYPE_CHECKING:
    from ..telemetry.telemetry import Telemetry

__all__ = ["Course"]

_MOST_STEPS: Final = 10_000
"""Steps of a task that the journal keeps."""


class _Going:
    """What is known of a task's course while it has not ended.

    Attributes:
        steps: how many the journal has.
        turn: the turn whose tools are being called, without what it has used; None: none are.
        said: what the model has said in it, as JSON text; empty where nobody wants that.
    """

    __slots__ = ("said", "steps", "turn")

    def __init__(self) -> None:
        self.steps = 0
        self.turn: Step | None = None
        self.said = ""


class Course:
    """See the module.

    Args:
        journal: keeps the steps.
        telemetry: makes spans and metrics; None: nobody wants any.
        run: the name of the run's folder.
    """

    def __init__(self, journal: Journal, telemetry: Telemetry | None, run: str) -> None:
        self._journal = journal
        self._telemetry = telemetry
        self._run = run
        self._going: dict[str, _Going] = {}

    def accepted(self, task: Task, request: RunTask, caller: Caller) -> None:
        """Take in a task that will be accepted. Its process is told its place in its trace, if it has one."""
        if self._telemetry is None:
            return
        from ..telemetry.values import BeginningTask  # noqa: PLC0415 - see its room

        begun = BeginningTask(
            id=task.id,
            agent=task.agent,
            models=task.setup.agent.models,
            run=self._run,
            parent=task.parent,
            calling=request.calling,
            span=caller.span,
            continues=task.continues,
            is_queued=task.status == "queued",
            began=task.started_at,
            text=task.text,
        )
        task.spec = msgspec.structs.replace(task.spec, traceparent=self._telemetry.accepted(begun) or "")

    def started(self, task: Task) -> None:
        """Note that a task that was queued starts."""
        if self._telemetry is not None:
            self._telemetry.started(task.id, task.started_at)

    def ready(self, task: Task) -> None:
        """Note that a task's process is at work."""
        if self._telemetry is not None:
            self._telemetry.ready(task.id, task.runtime, task.attempts)

    def hear(self, task: Task, attempt: Attempt, report: TaskReport) -> None:
        """Take note of a report, before the attempt does."""
        match report:
            case ToolCalled(call_id, name, arguments):
                if self._telemetry is not None:
                    self._telemetry.tool_called(task.id, call_id, name, arguments)
            case ToolAnswered(call_id, _, text, is_error):
                self._end_tool(task, attempt, call_id, "tool error" if is_error else "", text)
            case CallsBegan(messages):
                going = self._going_of(task)
                going.turn = _turn(task, report.asked)
                going.said = self._wanted(messages)
            case TurnEnded():
                self._end_turn(task, report)
            case _:
                pass

    def attempt_over(self, task: Task, attempt: Attempt, outcome: Outcome, *, again: bool) -> None:
        """Note that a process of a task has ended, with what it was at; `again`: another will follow."""
        kind = outcome.kind or "ended"
        for call_id in list(attempt.tools):
            self._end_tool(task, attempt, call_id, kind, "")
        self._note_turn(task, Usage())
        if again and self._telemetry is not None:
            self._telemetry.restarting(task.id, kind, outcome.reason)

    def ended(self, task: Task, outcome: Outcome) -> None:
        """Note that a task has ended, for good."""
        self._going.pop(task.id, None)
        if self._telemetry is None:
            return
        from ..telemetry.values import EndedTask  # noqa: PLC0415 - as above

        end = EndedTask(
            status=outcome.status,
            reason=outcome.reason,
            kind="" if outcome.status == "completed" else outcome.kind or outcome.status,
            ended=task.ended_at or time.time(),
            usage=task.usage,
            attempts=task.attempts,
            result=task.result,
        )
        self._telemetry.ended(task.id, end)

    def _end_tool(self, task: Task, attempt: Attempt, call_id: str, error: str, answer: str) -> None:
        called = attempt.tools.get(call_id)
        if called is None:
            return
        step = Step("tool", called.name, called.began, time.time(), task.attempts, error)
        self._write(task, step)
        if self._telemetry is not None:
            self._telemetry.tool_ended(task.id, call_id, step, answer)

    def _end_turn(self, task: Task, report: TurnEnded) -> None:
        if report.asked is not None:
            going = self._going_of(task)
            going.turn = _turn(task, report.asked)
            going.said = self._wanted(report.messages)
        self._note_turn(task, report.usage)

    def _wanted(self, messages: Sequence[str]) -> str:
        """Return what a model has said last, if that is wanted: it may be large, and is kept while tools are called."""
        if self._telemetry is None or not self._telemetry.has_content:
            return ""
        return next((body for body in reversed(messages) if body), "")

    def _note_turn(self, task: Task, usage: Usage) -> None:
        going = self._going.get(task.id)
        if going is None or going.turn is None:
            return
        step = msgspec.structs.replace(going.turn, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
        said, going.turn, going.said = going.said, None, ""
        self._write(task, step)
        if self._telemetry is not None:
            self._telemetry.turn_ended(task.id, step, said)

    def _write(self, task: Task, step: Step) -> None:
        going = self._going_of(task)
        going.steps += 1
        if going.steps <= _MOST_STEPS:
            self._journal.write_in_time([insert_step(task.id, step)])

    def _going_of(self, task: Task) -> _Going:
        return self._going.setdefault(task.id, _Going())


def _turn(task: Task, asked: Asked) -> Step:
    now = time.time()
    model = task.setup.agent.model
    name = asked.model or (model.reference if model is not None else "")
    return Step("turn", name, max(now - asked.seconds, task.started_at), now, task.attempts, asked.error)
