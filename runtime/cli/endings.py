"""Endings: a command that another program has started ends with that, also where it was killed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable

__all__ = ["end_with_input", "end_with_output"]

_INPUT, _OUTPUT = 0, 1


def end_with_input(ends: Callable[[], None] = lambda: None) -> None:
    """Have this process get a SIGTERM at the end of standard input.

    Args:
        ends: is called right before that, in a thread of its own.
    """
    _end_after(_input_ends, ends)


def end_with_output() -> None:
    """Have this process get a SIGTERM when nobody reads standard output any more."""
    _end_after(_output_ends)


def _end_after(wait: Callable[[], None], ends: Callable[[], None] = lambda: None) -> None:
    def waits() -> None:
        wait()
        ends()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=waits, name="subactors-ending", daemon=True).start()


def _input_ends() -> None:
    poll = select.poll()
    poll.register(_INPUT, select.POLLIN)
    with contextlib.suppress(OSError):  # it is closed, or its terminal is gone: that is its end
        while True:
            poll.poll()
            with contextlib.suppress(BlockingIOError):  # somebody else has read it
                if not os.read(_INPUT, 1024):
                    return


def _output_ends() -> None:
    poll = select.poll()
    poll.register(_OUTPUT, 0)  # it tells of faults alone
    poll.poll()
