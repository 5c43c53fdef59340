"""Doing: what a task was last seen to do, in words, and since when. Used in the supervisor's thread only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from ..models.base import RATE_WAIT
from ..tasks.spec import AgentSetup
from ..tasks.views import Status
from .attempt import Attempt
from .purse import TurnBook

if TYPE_CHECKING:
    from ..place.base import Body

__all__ = ["AtWork", "begin_wait", "doing", "doing_began", "end_pause", "end_wait", "only_waits"]


class AtWork(Protocol):
    """What these functions know of a task; see `Task`."""

    status: Status
    body: Body
    setup: AgentSetup
    attempt: Attempt | None
    last_sign: float
    rate_wait: tuple[str, float] | None
    turns: TurnBook
    waits: dict[object, float]
    waits_since: float | None


def begin_wait(task: AtWork | None, what: object) -> None:
    """Note that a task waits for tasks; None: the host does, or an orchestrator in it.

    Args:
        task: who waits.
        what: the address of the answer that it waits for.
    """
    if task is not None:
        task.waits.setdefault(what, time.monotonic())


def end_wait(task: AtWork | None, what: object) -> None:
    """Note that a task does not wait for that any more: its silence begins now, if it says nothing else."""
    if task is not None and task.waits.pop(what, None) is not None:
        task.last_sign = time.monotonic()


def end_pause(task: AtWork) -> None:
    """Note that a task's loop waits for its budget, or a rate limit, no more: its silence begins now."""
    task.turns.waits_since = task.rate_wait = None
    task.last_sign = time.monotonic()


def only_waits(task: AtWork) -> bool:
    """Whether a task only waits for what is known: its own tasks, its budget or a rate limit. It is not silent then.

    One in more tools than it has waits does something else besides.
    """
    if task.rate_wait is not None or task.turns.waits_since is not None:
        return True
    return bool(task.waits) and (task.attempt is None or len(task.attempt.tools) <= len(task.waits))


def doing(task: AtWork) -> str:
    """Return what a task was last seen to do; see `TaskView`. It stays the same for as long as the task does that."""
    attempt = task.attempt
    if task.status == "waiting":
        return "waiting for an answer"
    if task.status == "starting" and task.body.waits_for:
        return f"waiting for {task.body.waits_for}"
    if task.status != "running" or attempt is None:
        return ""
    if task.rate_wait is not None:
        return f"{RATE_WAIT}{task.rate_wait[0]}"
    if task.turns.waits_since is not None:
        return "waiting for its budget"
    if attempt.tools:
        return f"in {', '.join(sorted({call.name for call in attempt.tools.values()}))}"
    if task.waits:
        return "waiting for its tasks"
    return _of_loop(attempt) if task.setup.agent.entrypoint is None else ""


def doing_began(task: AtWork) -> float | None:
    """Return since when it does that, in seconds since the epoch; None where nobody can know."""
    attempt = task.attempt
    if task.status == "starting" and attempt is not None and task.body.waits_for:
        return attempt.asks_since
    if task.status not in {"running", "waiting"} or attempt is None:
        return None
    since = task.rate_wait[1] if task.rate_wait else task.turns.waits_since
    if task.status == "waiting":
        since = task.waits_since
    elif since is None and not attempt.tools:
        since = next(iter(task.waits.values()), None)
    if since is not None:
        return time.time() - time.monotonic() + since
    if attempt.tools:
        return min(call.began for call in attempt.tools.values())
    return attempt.asks_since if task.setup.agent.entrypoint is None else None


def _of_loop(attempt: Attempt) -> str:
    """Return what the loop of an agent does that is in no tool."""
    if attempt.finished is not None or attempt.failure is not None:
        return "ending"
    return "waiting for its model" if attempt.has_begun else "opening its tools"
