"""Chunk loop: a process of a mapping in chunks works through one chunk after the other; see `tasks/next_chunk`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...actors import SupervisorRef
from ...actors.interrupts import result_of
from ..tasks.calls import Call
from ..tasks.gateway import TaskGateway
from ..tasks.next_chunk import LONGEST_CHUNK_RESULT, NextChunk

__all__ = ["work_through"]


def work_through(
    first: Call,
    supervisor: SupervisorRef,
    *,
    call: Callable[[Call], Any],
    encoded: Callable[[Any], bytes],
    is_stopped: Callable[[], bool],
) -> Any:
    """Work through chunks until there is none any more; return what came of the last. On the main thread.

    Args:
        first: the chunk that the task was started with.
        supervisor: gives the others.
        call: works through one.
        encoded: returns what came of one as JSON text, or raises TypeError.
        is_stopped: whether the task has been asked to stop.
    """
    gateway = TaskGateway(supervisor)
    outcome = call(first)
    while True:
        supervisor.end_fork()  # before anything is told: it might be a second one
        if is_stopped():
            return outcome
        try:
            data = encoded(outcome)
            if len(data) > LONGEST_CHUNK_RESULT:
                return outcome
            request = NextChunk(data.decode())
        except TypeError:
            return outcome  # which is refused in the same way when the task ends
        given = result_of(gateway.ask(request))
        if not given.call:
            return outcome
        outcome = call(Call.decode(given.call))
