"""Keyboard: what a person types at the terminal on standard input: is dropped where it was typed too early or too late.

Nothing here changes a terminal that another job has in front: the kernel would stop this one for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
from collections.abc import Callable, Iterator
from typing import Final

__all__ = ["drop_line", "forget_typed", "is_in_front"]

_PAUSE: Final = 2.0
"""Seconds without a key after which nobody is in the middle of a line."""

_LOOK: Final = 0.1
"""Seconds between looks at whether the command ends meanwhile."""

_MOST: Final = 65536


def is_in_front() -> bool:
    """Whether this is the job that the terminal's keys go to."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # a terminal that controls no jobs
        return True


def forget_typed() -> None:
    """Drop what has been typed, and nobody has read, half a line too."""
    if is_in_front():
        with contextlib.suppress(termios.error):
            termios.tcflush(0, termios.TCIFLUSH)


def drop_line(is_over: Callable[[], bool]) -> None:
    """Drop what has been typed and, if that is half a line, its rest: until it ends, or no key comes any more.

    Args:
        is_over: whether nobody is to be waited for any more.
    """
    if not is_in_front():
        return
    with contextlib.suppress(termios.error, OSError), _each_key():
        since: float | None = None  # the last key
        while since is None or (time.monotonic() - since < _PAUSE and not is_over()):
            if select.select([0], [], [], 0 if since is None else _LOOK)[0]:
                since = time.monotonic()
                if os.read(0, _MOST)[-1:] in {b"\n", b"\r", b"\x04", b""}:
                    return
            elif since is None:
                return


@contextlib.contextmanager
def _each_key() -> Iterator[None]:
    """Have each key readable at once, and not only whole lines: also those that have been typed already."""
    before = termios.tcgetattr(0)
    local_modes, characters = 3, 6
    now = [*before]
    now[local_modes] &= ~termios.ICANON
    now[characters] = [*before[characters]]
    now[characters][termios.VMIN], now[characters][termios.VTIME] = 1, 0
    termios.tcsetattr(0, termios.TCSANOW, now)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSANOW, before)
