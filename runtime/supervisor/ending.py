"""Ending: how an attempt ended, and whether another follows; reads what its process has left in files."""

from __future__ import annotations

import os
import time
from typing import Final

import msgspec

from ...actors import Again, ProcessExit, decide
from ...actors.regular_files import length_of, open_to_read
from ..runs.folder import RunFolder
from ..runs.output import bound_log
from ..tasks.views import Vitals
from ..tasks.wording import size
from .outcome import Outcome, judge, last_words
from .task import Attempt, Task

__all__ = ["conclude", "follow_up", "judge_attempt"]

_LOG_TAIL: Final = 16_384
"""Bytes at the end of a process's standard error in which the reason for a crash is looked for."""


def judge_attempt(task: Task, attempt: Attempt, end: ProcessExit, *, folder: RunFolder, grace: float) -> Outcome:
    """Return how an attempt ended; notes in the task what its process told of it.

    Args:
        task: the task.
        attempt: its attempt; a result that cannot be read is taken from it.
        end: how its process ended.
        folder: where its result is, if that was too large to be sent.
        grace: seconds that a stop lets it have.
    """
    bound_log(task.log)
    if attempt.finished is not None and attempt.finished.in_file:
        fault = _result_fault(folder.result(task.id), task.spec.max_result)
        if fault:
            attempt.finished, end = None, msgspec.structs.replace(end, violation=end.violation or fault)
    outcome = judge(
        end,
        finished=attempt.finished,
        late=attempt.is_late,
        stop=task.stop_request(grace),
        limits=task.setup.limits,
        reached=task.limit_reached,
        failure=attempt.failure,
        # Read where it may be quoted only: the mailbox should not wait for files at every end.
        log="" if end.normal else last_words(_log_tail(task.log)),
    )
    if end.error is not None and attempt.failure is not None and outcome.status != "completed":
        task.traceback = attempt.failure.traceback
    return outcome


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
        stopped=task.stop_requested is not None or outcome.final or bool(task.limit_reached) or is_closing,
        now=time.monotonic(),
    )
    if isinstance(decision, Again):
        return outcome, decision.delay
    if not decision.exhausted or not policy.max_restarts:
        return outcome, None
    often = "once" if policy.max_restarts == 1 else f"{policy.max_restarts} times"
    note = f"It had been started again {often} within {policy.period:g} s."
    return Outcome(outcome.status, f"{outcome.reason}\n{note}".strip()), None


def conclude(task: Task, end: ProcessExit | None, *, folder: RunFolder, peak: int) -> None:
    """Note in a task that it has ended, and with what.

    Args:
        task: the task.
        end: how its last process ended; None if it had none any more.
        folder: where its result is, if that was too large to be sent.
        peak: the largest memory sampled of it, in bytes.
    """
    task.concluded = True
    if task.deadline is not None:
        task.deadline.cancel()  # it would keep the task until it is due
    task.ended_at, task.ran_for = time.time(), time.monotonic() - task.started
    task.output.close()
    finished = task.attempt.finished if task.attempt is not None else None
    if finished is not None:
        task.result = None if finished.in_file else finished.result
        task.result_file = folder.result(task.id) if finished.in_file else ""
    used = end.user_seconds + end.system_seconds if end is not None else 0.0
    task.vitals = Vitals(cpu_seconds=used, memory_bytes=peak)


def _result_fault(path: str, most: int) -> str:
    """Return what is wrong with the file of a result, as the end of a sentence; empty if nothing.

    It is not opened: a host that has no descriptor left must not lose a result for it.
    """
    try:
        length = length_of(path)
    except OSError as error:
        return f"its result cannot be read: {error.strerror or error}"
    return f"its result has {size(length)}, more than max_result ({size(most)})" if length > most else ""


def _log_tail(path: str) -> str:
    """Return the end of what a process wrote to standard output and error."""
    try:
        descriptor = open_to_read(path)
        try:
            length = os.fstat(descriptor).st_size
            return os.pread(descriptor, _LOG_TAIL, max(0, length - _LOG_TAIL)).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    except OSError:
        return ""
