"""Files of tasks on nodes, which come home with their ends, each by a connection of its own and in a thread."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...actors.regular_files import make

if TYPE_CHECKING:
    from ...actors import NodeLink
    from ..place.base import Body
    from .messages import Left

__all__ = ["bring_home"]

logger = logging.getLogger("subactors.runtime")

_PIECE: Final = 262_144
"""Bytes that are read at a time."""


def bring_home(node: NodeLink, task_id: str, left: Left, body: Body, done: Callable[[], None]) -> None:
    """Fetch what a task has left, in a thread of its own; `done` is called there, whether that can be had or not.

    Args:
        node: where it ran.
        task_id: its id.
        left: what it has left.
        body: what it has at home.
        done: see above.
    """

    def fetch() -> None:
        try:
            if left.log_size > len(left.log):
                _copy(node, f"log/{task_id}", body.capture, left.log_size)
            if left.result_size >= 0:
                Path(body.result_file).parent.mkdir(mode=0o700, exist_ok=True)
                _copy(node, f"results/{task_id}", body.result_file, left.result_size)
        except OSError as error:
            logger.warning("What %s has left on node %s cannot be had: %s.", task_id, node.name, error)
        finally:
            done()

    try:
        threading.Thread(target=fetch, name="subactors-home", daemon=True).start()
    except RuntimeError:  # the machine has no room for a thread
        done()


def _copy(node: NodeLink, name: str, path: str, most: int) -> None:
    with node.fetch(name) as channel:
        descriptor = make(path)
        try:
            while most > 0 and (data := channel.recv(min(_PIECE, most))):
                most -= len(data)
                os.write(descriptor, data)
        finally:
            os.close(descriptor)
