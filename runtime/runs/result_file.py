"""Result files: answers that are too large to be sent. One file a task, JSON text, in the run's folder.

The task's process writes it, and says so in its last report. The host looks at it once the process, and all that it had
started, is gone. Whoever wants the answer reads the file (`tasks/result`), at that moment and not before.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from ...actors import MOST_VALUES
from ...actors.regular_files import make
from ..errors import StateError
from ..tasks.result import MOST_VALUES_IN_FILE, holds_more
from ..tasks.wording import size

__all__ = ["pack_result", "write_result"]

_SENT: Final = 8 * 1024 * 1024 - 4096
"""Bytes of a result that is sent: what a message may have, without what is around it."""


def pack_result(data: bytes, limit: int) -> str | None:
    """Return a result, JSON text, as it is sent; None if it has to go to its file. Runs in the task's process.

    Args:
        data: the result.
        limit: bytes that it may have.

    Raises:
        ValueError: it is too large; the message says what would do.
    """
    if len(data) > limit:
        has, most = size(len(data)), size(limit)
        if has == most:
            has, most = f"{len(data):,} bytes", f"{limit:,}"
        raise ValueError(
            f"The result has {has}, more than max_result ({most}). Return less, or write it to a file and return its "
            "path, or raise `max_result` under `runtime` in the team file."
        )
    text = data.decode()
    if len(data) <= _SENT and not holds_more(text, MOST_VALUES):
        return text
    if holds_more(text, MOST_VALUES_IN_FILE):
        raise ValueError(
            f"The result holds more than {MOST_VALUES_IN_FILE:,} values, which would take whoever reads it gigabytes "
            "of memory. Return less, or write it to a file and return its path."
        )
    return None


def write_result(path: str, data: bytes) -> None:
    """Write a result to its file, in place of what an earlier attempt has left. Runs in the task's process.

    Raises:
        StateError: it cannot be written.
    """
    try:
        _write(path, data)
    except OSError as error:
        what = f"The result of {size(len(data))} cannot be written to {path}"
        raise StateError(f"{what}: {error.strerror or error}.") from error


def _write(path: str, data: bytes) -> None:
    file = Path(path)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = make(path)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
    except BaseException:
        with contextlib.suppress(OSError):
            file.unlink()
        raise
