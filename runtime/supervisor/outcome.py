"""Outcome: turns what was seen of a task's process into a status and a reason, which happens here only."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import msgspec

from ...actors import ErrorData, GroupUse, ProcessExit
from ..tasks.messages import Failed, Finished
from ..tasks.views import Status
from ..tasks.wording import size
from ..team.config import Limits
from ..text import bounded

__all__ = [
    "Outcome",
    "StopRequest",
    "ended_owner",
    "how_stopped",
    "judge",
    "last_words",
]

_BECAUSE: Final = "Stopped, because "
_HAD_ENDED: Final = " had ended"

_AT_ONCE: Final = 0.05
"""Seconds from a stop to an end that a person takes for none."""

_FINAL: Final = frozenset({"ImportTargetError", "MissingKeyError", "LoopError"})
"""Errors that another attempt would meet again: a wrong configuration, the limit on iterations."""

_REFUSED_FORK: Final = frozenset({"builtins.BlockingIOError", "builtins.RuntimeError"})
"""What Python raises where the kernel refuses a process, or a thread."""

_MESSAGE: Final = 10_000
"""Characters of an exception's message that a reason holds: it is in every list of tasks."""


class StopRequest(msgspec.Struct, frozen=True):
    """A stop that was asked for before the task had ended.

    Attributes:
        grace: seconds that it had to end by itself.
        took: seconds from the request to the end.
        by: who asked, for the reason.
        ended_owner: the agent whose end this follows from, as it had started the task; empty if somebody asked.
    """

    grace: float
    took: float
    by: str = ""
    ended_owner: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """Outcome of an attempt.

    Attributes:
        status: a terminal one.
        reason: why; empty for a completed task that has left nothing.
        final: whether another attempt would end the same way: a limit was reached, or the configuration is wrong.
        kind: what kind of end it was, for programs: the type of an exception, the name of a signal, `exit 3`, `limit`,
            `protocol`, `disconnected`, `lost` (its machine was), `no answer`, `unknown`, `not started` or `stopped`;
            empty if it has completed.
    """

    status: Status
    reason: str
    final: bool = False
    kind: str = ""


def judge(
    end: ProcessExit,
    *,
    finished: Finished | None,
    stop: StopRequest | None,
    log: str,
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    late: bool = False,
    reached: str = "",
    failure: Failed | None = None,
) -> Outcome:
    """Decide, and say what is left of it, if anything is.

    What the loop itself said comes first: an answer that was given before a stop arrived is an answer. Then what broke,
    then a limit, then the stop.

    Args:
        end: how the process ended.
        finished: the loop's own last report, if it came.
        late: whether that came after a limit had been reached.
        stop: the stop that was under way, if there was one.
        limits: the task's.
        reached: the limit that the supervisor saw it reach, as a sentence; empty if none.
        failure: what the process told of the exception that ended it, if it came to that.
        log: the end of what the process wrote to its standard error.
    """
    outcome = _judge(
        end, finished=finished, stop=stop, log=log, limits=limits, late=late, reached=reached, failure=failure
    )
    if not end.survivors:
        return outcome
    return msgspec.structs.replace(outcome, reason=f"{outcome.reason}\n{_remains(end)}".strip())


def _judge(
    end: ProcessExit,
    *,
    finished: Finished | None,
    stop: StopRequest | None,
    log: str,
    limits: Limits,
    late: bool,
    reached: str,
    failure: Failed | None,
) -> Outcome:
    if finished is not None and not finished.early and not late:
        return (
            Outcome("failed", finished.limit, final=True, kind="limit") if finished.limit else Outcome("completed", "")
        )
    if end.violation:
        broke = f"The task's process broke the protocol: {end.violation}.{_quote(log)}"
        return Outcome("failed", broke, kind="protocol")
    reached = reached or _kernel_limit(end, limits)
    if reached:
        return Outcome("failed", reached, final=True, kind="limit")
    if stop is not None:
        return Outcome("stopped", _stop_reason(end, finished, stop, failure), kind="stopped")
    if end.lost or end.disconnected:
        return _cut_off(end, log)
    if end.error is not None:
        kind = end.error.type_name.rpartition(".")[2]
        return Outcome("failed", _error_text(end.error, failure), final=kind in _FINAL, kind=kind)
    if end.finished:
        nothing = "The task's process ended without an answer, as if it had been stopped."
        return Outcome("failed", nothing, kind="no answer")
    kind = end.signal_name or ("unknown" if end.code is None else f"exit {end.code}")
    return Outcome("failed", f"The task's process {end}.{_quote(log)}", kind=kind)


def _cut_off(end: ProcessExit, log: str) -> Outcome:
    """Return how an attempt ended of which nothing could be heard any more."""
    if end.lost:
        return Outcome("failed", f"{end.lost[:1].upper()}{end.lost[1:]}.", kind="lost")
    return Outcome(
        "failed",
        "Nothing that it says arrives any more: its process closed its connection to the host, "
        f"lived on and was killed.{_quote(log)}",
        kind="disconnected",
    )


def _remains(end: ProcessExit) -> str:
    """Say which processes were left. The end of a task does not wait for them for ever.

    Of tasks that end together nobody can tell whose they were, as their parents are gone: each names them all.
    """
    whose = "that it, or a task that ended together with it, seems to have started"
    named = ", ".join(map(str, end.survivor_ids))
    if end.survivors == 1:
        what, they = f"A process {whose} was", "it is"
    else:
        what, they = f"{end.survivors:,} processes {whose} were", "they are"
        if end.survivors > len(end.survivor_ids) and named:
            named += ", …"
    ids = f" ({'id' if end.survivors == 1 else 'ids'} {named})" if named else ""
    return f"{what} not gone by then{ids}: {they} killed as long as this host runs, and with it."


def how_stopped(by: str, ended_owner: str) -> str:
    """Return the beginning of a stopped task's reason; for the arguments see `StopRequest`."""
    if ended_owner:
        return f"{_BECAUSE}{ended_owner}{_HAD_ENDED}"
    return f"Stopped by {by}" if by else "Stopped"


def ended_owner(reason: str) -> str:
    """Return the agent whose end a task has been stopped for, by its reason; empty if it ended in any other way."""
    start, _, rest = reason.partition(_BECAUSE)
    owner, ended, _ = rest.partition(_HAD_ENDED)
    return owner if ended and not start else ""


def _kernel_limit(end: ProcessExit, limits: Limits) -> str:
    """Return the limit that the kernel held the process to when it ended, as a sentence; empty if none."""
    raised = end.error.type_name if end.error is not None else ""
    group = end.group or GroupUse()
    if limits.memory is not None and group.memory_kills:
        return f"The limit memory of {size(limits.memory)} was reached: its tree used {size(group.memory_peak)}."
    if limits.processes is not None and group.refused_forks and raised in _REFUSED_FORK:
        return (
            f"The limit processes of {limits.processes} was reached: "
            f"its tree had {group.entries:,} processes and threads, and the kernel let it start no more."
        )
    used = end.user_seconds + end.system_seconds
    if limits.cpu is not None and (end.signal == signal.SIGXCPU or (end.signal and used >= limits.cpu)):
        return f"The limit cpu of {limits.cpu:g} s was reached: it had used {used:.1f} s of CPU time."
    if limits.memory is not None and raised == "builtins.MemoryError":
        return f"The limit memory of {size(limits.memory)} was reached: an allocation beyond it failed."
    return ""


def _stop_reason(end: ProcessExit, finished: Finished | None, stop: StopRequest, failure: Failed | None) -> str:
    asked = how_stopped(stop.by, stop.ended_owner)
    later = f"{stop.took:.1f} s later" if stop.took >= _AT_ONCE else "at once"
    if end.lost:
        return f"{asked}; {end.lost} before it had ended."
    if end.unobserved and not end.ready:
        return f"{asked}; it had not begun, as its process did not come to exist."
    if end.killed and end.signal == signal.SIGKILL:
        if finished is not None or end.finished:
            return f"{asked}; it ended its work, but its process lived on and was killed after {stop.took:.1f} s."
        return (
            f"{asked}, did not react, and was killed after the grace period of {stop.grace:g} s; "
            "what it was doing may be half done."
        )
    if end.error is not None and end.error.type_name == "builtins.KeyboardInterrupt":
        return f"{asked}; it went on, was interrupted (KeyboardInterrupt), and ended after {stop.took:.1f} s."
    if end.error is not None:
        return f"{asked}; it ended {later}, raising {_error_text(end.error, failure).rstrip('.')}."
    if end.signal is not None or end.code:
        return f"{asked}; its process {end}, {later}."
    return f"{asked}; it ended {later}."


def _error_text(error: ErrorData, failure: Failed | None) -> str:
    """Return type and message; where the type lives matters to nobody who reads a reason."""
    if failure is not None:
        return failure.reason
    name = error.type_name.rpartition(".")[2]
    return f"{name}: {bounded(error.message, _MESSAGE)}" if error.message else name


def _quote(log: str) -> str:
    log = log.strip()
    return f"\nThe end of its standard error:\n{log}" if log else ""


_LINES: Final = 12
_CHARACTERS: Final = 2000
_HERE: Final = Path(__file__).parents[2]
_OWN_FRAMES: Final = tuple(
    f"{_HERE}/{place}"
    for place in ("actors/", "runtime/agent/", "runtime/child/", "runtime/models/", "runtime/toolsets/base.py")
)
"""How the places in this package begin from which a task's code is called."""


def last_words(log: str) -> str:
    """Return the part of a log that a reader of the reason needs.

    For a fatal error that Python reported, that is its first line and the innermost frames of the thread that died,
    down to where this package called the task's code; otherwise the last lines.
    """
    lines = log.strip().splitlines()
    fatal = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].startswith("Fatal Python error")), None)
    if fatal is None:
        return "\n".join(lines[-_LINES:])[-_CHARACTERS:]
    current = next((i for i in range(fatal, len(lines)) if lines[i].startswith("Current thread")), fatal)
    frames: list[str] = []
    for line in lines[current + 1 : current + 1 + _LINES]:
        if not line.startswith("  File ") or any(own in line for own in _OWN_FRAMES):
            break
        frames.append(line)
    return "\n".join([lines[fatal], *frames])[:_CHARACTERS]
