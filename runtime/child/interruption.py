"""Interruption: ends work that goes on after its stop, by an exception on the main thread, as Ctrl-C raises it.

The order is this. At once `stop_requested` is set, and coroutines are cancelled. Half the grace period later a function
gets KeyboardInterrupt, so that its `finally` runs. A function that has seen the stop is about to end by itself, with a
result: it gets the exception only when hardly any time is left. At the end of the grace period the host kills the
process; nothing else ends code that no exception reaches, in C or in an `except` that catches everything.

It must never interrupt anything but the user's code: not after the work has ended, nor in the middle of a message to
the host.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from typing import Final, Protocol

from ...actors import SupervisorRef

__all__ = ["Interruptible", "interrupt_in_time", "let_interrupt_pass"]

_UNNOTICED: Final = 0.5
"""Part of the grace period after which work that has taken no notice of its stop is interrupted."""

_NOTICED: Final = 0.9
"""The same, for work that knows of it."""

_lock: Final = threading.Lock()
"""Held by the interrupting thread, for that moment. Made in the zygote: a task without a stop pays nothing."""


class Interruptible(Protocol):
    """Work on the main thread. Its members are looked at in another thread."""

    at_work: bool
    """Whether the main thread is in the user's code."""
    is_stopping: bool
    """Set here once it is to stop."""
    is_overdue: bool
    """Set here when it should be over: work that begins then is to raise KeyboardInterrupt itself."""

    def knows_of_stop(self) -> bool:
        """Whether it has seen that it is to stop."""

    def is_cancelled(self) -> bool:
        """Whether it has had an exception already: a coroutine that is being cancelled."""


def interrupt_in_time(work: Interruptible, supervisor: SupervisorRef, grace: float) -> None:
    """Have work interrupted if it goes on for too long; returns at once. To be called when it is to stop.

    Without effect but for the first time.

    Args:
        work: what is to be over.
        supervisor: to which nothing must be half said.
        grace: seconds until the process is killed.
    """
    with _lock:
        if work.is_stopping:
            return
        work.is_stopping = True
    # Not one that the process would wait for at its end.
    _thread.start_new_thread(_interrupt_in_time, (work, supervisor, grace))


def _interrupt_in_time(work: Interruptible, supervisor: SupervisorRef, grace: float) -> None:
    time.sleep(grace * _UNNOTICED)
    if work.knows_of_stop():
        time.sleep(grace * (_NOTICED - _UNNOTICED))
    with supervisor.hold(grace) as held, _lock:
        work.is_overdue = True
        if held and work.at_work and not work.is_cancelled():
            # A real signal, to that thread: it ends calls of the system, too, in which it may be waiting.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def let_interrupt_pass() -> None:
    """Wait for an interrupt that is on its way, and drop it. For the main thread, when it is no longer at work."""
    try:
        with _lock:
            pass
        time.sleep(0)  # it is raised in a call at the latest
    except KeyboardInterrupt:
        pass
