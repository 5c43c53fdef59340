"""The mark by which what a killed zygote leaves behind is found: a variable in the environment of all its descendants.

Who leaves its parent's session and its parents has no tie left to its actor but the environment that it was started
with. It must never signal a process but through a pidfd that was opened before the mark was seen.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

__all__ = ["MARK", "SWEEP_LIMIT", "end_marked", "keep_mark", "new_mark"]

MARK: Final = "SUBACTORS_ZYGOTE"

SWEEP_LIMIT: Final = 1.0
"""Seconds that killed processes may take to disappear before they are counted as survivors."""

_PAUSE: Final = 0.005
"""Seconds between two looks at all processes."""

_LONGEST_ENVIRONMENT: Final = 8 * 1024 * 1024
"""Bytes of an environment that are looked at; the kernel lets no program start with more."""


def new_mark() -> str:
    """Return the variable's value for a new zygote: what nobody can guess, after the marks that this process has.

    A zygote inside an actor of another one so has the marks of both, and ends with the outer one.
    """
    own = os.urandom(16).hex()
    outer = os.environ.get(MARK)
    return f"{outer}:{own}" if outer else own


def keep_mark(environ: MutableMapping[bytes, bytes], inherited: MutableMapping[bytes, bytes]) -> None:
    """Put the inherited mark, if there is one, in an environment that is about to replace the one it is in."""
    name = MARK.encode()
    if name in inherited:
        environ[name] = inherited[name]


def end_marked(mark: str) -> int:
    """Kill every process that was started with a mark, until there is none; return how many are left.

    Takes up to `SWEEP_LIMIT` seconds, from any thread; zombies count as gone. A process that was started with a cleared
    environment is not found, nor is one that the user of this process may not look at.

    Args:
        mark: the variable's value; only its last part, the zygote's own, is looked for.
    """
    own = mark.rpartition(":")[2].encode()
    deadline = time.monotonic() + SWEEP_LIMIT
    looks_without = 0
    while True:
        found = sum(_kill_if_marked(int(entry), own) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208 - names are enough
        # Who is in the middle of an exec shows no environment for a moment, and who forks may be passed by.
        looks_without = 0 if found else looks_without + 1
        if looks_without == 2 or time.monotonic() > deadline:  # noqa: PLR2004 - the second look is for those
            return found
        time.sleep(_PAUSE)


def _kill_if_marked(pid: int, own: bytes) -> bool:
    """Kill a process if it has the mark; return whether it had."""
    # It is gone, or another user's, or there is no descriptor for it: then the next look may find it.
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        try:
            if _is_marked(pid, own):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                return True
        finally:
            os.close(pidfd)
    return False


def _is_marked(pid: int, own: bytes) -> bool:
    with Path(f"/proc/{pid}/environ").open("rb", buffering=0) as file:
        environ = b""
        while len(environ) < _LONGEST_ENVIRONMENT and (piece := file.read(1 << 16)):
            environ += piece
    prefix = MARK.encode() + b"="
    return any(
        own in entry.removeprefix(prefix).split(b":") for entry in environ.split(b"\0") if entry.startswith(prefix)
    )
