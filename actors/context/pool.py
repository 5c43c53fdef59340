"""Pool: `multiprocessing.Pool` with workers of the zygote's.

What it adds: with every start method, a worker that does not find a task's function ends, the pool starts another, and
the host waits for ever. Here the host is told, before the task is sent.
"""

from __future__ import annotations

import pickle
from multiprocessing import pool
from multiprocessing.reduction import ForkingPickler
from typing import Any

from ..wire.inheritance import NotFoundThereError, pickled_by_name
from ..wire.objects import names_main
from .main_script import main_script

__all__ = ["Pool"]


class Pool(pool.Pool):
    """See `multiprocessing.pool.Pool`."""

    def _setup_queues(self) -> None:
        super()._setup_queues()  # type: ignore[misc]  # since Python 2.6; the stub does not know it
        writer = self._inqueue._writer  # type: ignore[attr-defined]  # noqa: SLF001 - what puts tasks, since 2.6
        self._quick_put = lambda task: writer.send_bytes(_pickled(task))


def _pickled(task: Any) -> bytes:
    """Pickle a task; raises PicklingError for one that names what a worker would not find."""
    # A copy: an exception would keep a view of the buffer alive, over which Python 3.12 may stumble as it exits.
    data = bytes(ForkingPickler.dumps(task))
    if names_main(data):
        script = main_script()
        if not script.is_whole:
            try:
                pickled_by_name(task, script.has)
            except NotFoundThereError as error:
                raise pickle.PicklingError(
                    f"{error} is in the main script, where the workers of a pool do not find it: pools send functions "
                    "and classes by name, and other processes run a script without what is under its "
                    '`if __name__ == "__main__":`, nor do they run a `__main__.py` that has no such line, or what '
                    "comes from no file. Move it to the top of the script, or to a module."
                ) from None
    return data
