"""How a task ended: the one place that turns what was seen of its process into a status and a reason."""

from __future__ import annotations

import signal

import msgspec

from ..actors import ErrorData, ProcessExit
from ._messages import Finished
from ._views import Status

__all__ = ["Outcome", "StopRequest", "judge"]


class StopRequest(msgspec.Struct, frozen=True):
    """A stop that was asked for before the task had ended.

    Attributes:
        grace: seconds that it had to end by itself.
        took: seconds from the request to the end.
        by: who asked, for the reason; empty for the task's own caller.
    """

    grace: float
    took: float
    by: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """A terminal status and its reason."""

    status: Status
    reason: str


def judge(end: ProcessExit, *, finished: Finished | None, stop: StopRequest | None, log: str) -> Outcome:
    """Decide.

    What the loop itself said comes first: an answer that was given before a stop arrived is an answer. Then what broke,
    then the stop.

    Args:
        end: how the process ended.
        finished: the loop's own last report, if it came.
        stop: the stop that was under way, if there was one.
        log: the end of what the process wrote to its standard error.
    """
    if finished is not None and not finished.early:
        return Outcome("completed", "")
    if end.violation:
        return Outcome("failed", f"The task's process broke the protocol: {end.violation}.{_quote(log)}")
    if stop is not None:
        return Outcome("stopped", _stop_reason(end, finished, stop))
    if end.error is not None:
        return Outcome("failed", _error_text(end.error))
    if end.finished:
        return Outcome("failed", "The task's process ended without an answer, as if it had been stopped.")
    return Outcome("failed", f"The task's process {end}.{_quote(log)}")


def _stop_reason(end: ProcessExit, finished: Finished | None, stop: StopRequest) -> str:
    asked = f"Stopped{f' by {stop.by}' if stop.by else ''}"
    if end.killed and end.signal == signal.SIGKILL:
        if finished is not None or end.finished:
            return f"{asked}; it ended its work, but its process lived on and was killed after {stop.took:.1f} s."
        return (
            f"{asked}, did not react, and was killed after the grace period of {stop.grace:g} s; "
            "what it was doing may be half done."
        )
    if end.error is not None:
        return f"{asked}; it ended after {stop.took:.1f} s, raising {_error_text(end.error)}."
    if end.signal is not None or end.code:
        return f"{asked}; its process {end} after {stop.took:.1f} s."
    return f"{asked}; it ended by itself after {stop.took:.1f} s."


def _error_text(error: ErrorData) -> str:
    """Return type and message; where the type lives matters to nobody who reads a reason."""
    name = error.type_name.rpartition(".")[2]
    return f"{name}: {error.message}" if error.message else name


def _quote(log: str) -> str:
    log = log.strip()
    return f"\nThe end of its standard error:\n{log}" if log else ""
