"""Ending: how an attempt ended, whether another follows, and what is kept of a task that has ended."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from ...actors import Again, ProcessExit, decide
from ..tasks.views import Vitals
from .attempt import Attempt
from .outcome import Outcome, judge, last_words
from .task import Task

__all__ = ["conclude", "follow_up", "judge_attempt"]


def judge_attempt(task: Task, attempt: Attempt, end: ProcessExit, *, grace: float) -> Outcome:
    """Return how an attempt ended; notes in the task what its process told of it.

    Args:
        task: the task.
        attempt: its attempt; a result that cannot be read is taken from it.
        end: how its process ended.
        grace: seconds that a stop lets it have.
    """
    task.body.bound_log()
    if attempt.finished is not None and attempt.finished.in_file:
        fault = task.body.result_fault(task.spec.max_result)
        if fault:
            attempt.finished, end = None, msgspec.structs.replace(end, violation=end.violation or fault)
    outcome = judge(
        end,
        finished=attempt.finished,
        late=attempt.is_late,
        stop=task.stop_request(grace),
        limits=task.setup.limits,
        reached=task.limit_reached or task.limit_exceeded,
        failure=attempt.failure,
        # Read where it may be quoted only: the mailbox should not wait for files at every end.
        log="" if end.normal else last_words(task.body.log_tail()),
    )
    if outcome.kind == ModuleNotFoundError.__name__ and task.body.node:
        outcome = msgspec.structs.replace(outcome, reason=f"{outcome.reason}\n{_lacks_module(task.body.node)}")
    if end.error is not None and attempt.failure is not None and outcome.status != "completed":
        task.error = end.error.type_name.removeprefix("builtins.")
        task.traceback = attempt.failure.traceback
        task.error_args = attempt.failure.arguments
    return outcome


def _lacks_module(node: str) -> str:
    return (
        f"Node {node} has what is installed there, the folder of the team file, and that of the program; of an "
        "installed script, a notebook and `python -c` nothing is sent. Put the module beside a team file, or install "
        "it on the node."
    )


def follow_up(task: Task, outcome: Outcome, *, is_closing: bool) -> tuple[Outcome, float | None]:
    """Return how a task ended, if it did, and else the seconds until its next attempt.

    Args:
        task: the task.
        outcome: how its last attempt ended.
        is_closing: whether the host closes, and starts nothing any more.
    """
    policy = task.setup.agent.restart
    decision = decide(
        policy,
        task.restarts,
        failed=outcome.status == "failed",
        # One that had answered before it reached a limit is completed; its next attempt would have no limit left.
        stopped=task.stop is not None or outcome.final or bool(task.limit_reached or task.limit_exceeded) or is_closing,
        now=time.monotonic(),
    )
    if isinstance(decision, Again):
        return outcome, decision.delay
    if task.letters is not None and task.letters.waiting:
        count = len(task.letters.waiting)
        unread = f"It ended before it took {count} message{'' if count == 1 else 's'} that had been sent to it."
        outcome = msgspec.structs.replace(outcome, reason=f"{outcome.reason}\n{unread}".strip())
    if not decision.exhausted or not policy.max_restarts:
        return outcome, None
    often = "once" if policy.max_restarts == 1 else f"{policy.max_restarts} times"
    note = f"It had been started again {often} within {policy.period:g} s."
    return msgspec.structs.replace(outcome, reason=f"{outcome.reason}\n{note}".strip()), None


_NOTHING: Final = frozenset({None, "null", '""'})
"""Results that say nothing."""


def conclude(task: Task, end: ProcessExit | None, *, peak: int) -> None:
    """Note in a task that it has ended, and with what.

    Args:
        task: the task.
        end: how its last process ended; None if it had none any more.
        peak: the largest memory sampled of it, in bytes.
    """
    task.concluded = True
    if task.deadline is not None:
        task.deadline.cancel()  # it would keep the task until it is due
    task.ended_at, task.ran_for = time.time(), task.runtime
    task.output.close()
    task.body.release()
    finished = task.attempt.finished if task.attempt is not None else None
    if finished is not None:
        task.result = None if finished.in_file else finished.result
        task.result_file = task.body.result_file if finished.in_file else ""
    if task.answered and not task.result_file and task.result in _NOTHING and not task.spec.output_schema:
        # It had answered, and was kept waiting for what it had started: whatever came then, that is not lost.
        task.result = task.answered
    used = end.user_seconds + end.system_seconds if end is not None else 0.0
    task.vitals = Vitals(cpu_seconds=used, memory_bytes=peak)
