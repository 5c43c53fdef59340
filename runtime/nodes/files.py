"""Files of tasks on nodes, which come home with their ends, each by a connection of its own and in a thread.

A node is not trusted: of each file no more is taken than it may have, and not for ever. What it is called at home is
the host's own choice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...actors.regular_files import make
from ..runs.output import LONGEST_LOG
from ..tasks.wording import size

if TYPE_CHECKING:
    from ...actors import NodeLink
    from ..place.base import Body
    from .messages import Left

__all__ = ["bring_home"]

logger = logging.getLogger("subactors.runtime")

_PIECE: Final = 262_144
"""Bytes that are read at a time."""

_PATIENCE: Final = 30.0
_LEAST_RATE: Final = 20_000
"""Seconds that a file may take, and bytes a second that it may take longer for."""

_LARGEST: Final = 1_000_000_000_000
"""Bytes that a result which is too large may be told to have: its file at home has no other content than its length."""


def bring_home(node: NodeLink, task_id: str, left: Left, body: Body, *, most: int, done: Callable[[], None]) -> None:
    """Fetch what a task has left, in a thread of its own; `done` is called there, whether that can be had or not.

    Args:
        node: where it ran.
        task_id: its id.
        left: what it has left.
        body: what it has at home.
        most: bytes that its result may have.
        done: see above.
    """

    def fetch() -> None:
        try:
            if left.log_size > len(left.log):
                _copy(node, f"log/{task_id}", body.capture, min(left.log_size, LONGEST_LOG))
            if left.result_size >= 0:
                Path(body.result_file).parent.mkdir(mode=0o700, exist_ok=True)
                if left.result_size > most:
                    # Nothing of it is wanted but its size, which a file tells that has nothing else.
                    with os.fdopen(make(body.result_file), "ab") as file:
                        file.truncate(min(left.result_size, _LARGEST))
                else:
                    _copy(node, f"results/{task_id}", body.result_file, left.result_size)
        except OSError as error:
            why = error.strerror or error
            logger.warning("What %s has left on node %s cannot be had: %s.", task_id, node.name, why)
        finally:
            done()

    try:
        threading.Thread(target=fetch, name="subactors-home", daemon=True).start()
    except RuntimeError:  # the machine has no room for a thread
        done()


def _copy(node: NodeLink, name: str, path: str, length: int) -> None:
    """Fetch a file of that length; raises OSError, and leaves none, if it does not come whole."""
    with os.fdopen(make(path), "ab") as file:
        try:
            with node.fetch(name) as channel:
                for data in _received(channel, length):
                    file.write(data)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(path).unlink()
            raise


def _received(channel: socket.socket, length: int) -> Iterator[bytes]:
    """Yield so many bytes, as they come; raises OSError if they do not, or too slowly."""
    limit = _PATIENCE + length / _LEAST_RATE
    until = time.monotonic() + limit
    while length > 0:
        data = channel.recv(min(_PIECE, length))
        if not data:
            raise OSError(f"{size(length)} of it are missing")
        if time.monotonic() > until:
            raise TimeoutError(f"it had not come within {limit:.0f} s")
        length -= len(data)
        yield data
