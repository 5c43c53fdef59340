"""The child's half of a process of the `multiprocessing` context. Everything here runs in the forked process.

It is to the context what `multiprocessing.spawn` is to the start method of that name. The zygote imports this module,
and with it what each such process needs of `multiprocessing`, before it forks the first.
"""

from __future__ import annotations

# ruff: noqa: SLF001 - multiprocessing has no public names for those who start its processes
import io
import os
import pickle
import sys
from concurrent.futures import process as _executors  # noqa: F401 - imported once, by the zygote, for all its children
from multiprocessing import (  # noqa: F401 - those not used here are imported once, by the zygote, for all its children
    connection,
    context,
    managers,
    pool,
    process,
    queues,
    resource_tracker,
    shared_memory,
    sharedctypes,
    spawn,
    synchronize,
)
from typing import TYPE_CHECKING, Any

from ..cpython import inheriting, tracker_of_multiprocessing
from ..host.interrupted import passing_interrupts_on
from ..wire.inheritance import received_descriptors
from .main_module import prepare_main
from .zygote_context import get_context

if TYPE_CHECKING:
    from ..child.channel import ChildChannel
    from ..wire.messages import Start

__all__ = ["be"]


def be(start: Start, channel: ChildChannel) -> int:
    """Be the process that the host describes; returns its exit code. Raises what unpickling it raises."""
    channel.close()
    assert start.process is not None  # noqa: S101 - it is what makes it such a process
    if start.tracker is not None:
        tracker_of_multiprocessing()._fd = received_descriptors[start.tracker]
    parts = io.BytesIO(start.process)
    current: Any = process.current_process()
    current._config = current._config  # as of now it is one of this process alone
    with inheriting():
        preparation = pickle.load(parts)  # noqa: S301 - the host is trusted
        main = preparation.pop("main")
        if preparation["start_method"] == "zygote":
            # It is the host's default, and `spawn.prepare` makes it the child's, too. It knows contexts by name alone.
            context._concrete_contexts["zygote"] = get_context()  # type: ignore[attr-defined]
        spawn.prepare(preparation)
        prepare_main(*main)
        process_obj: Any
        process_obj, by_value = pickle.load(parts)  # noqa: S301 - the host is trusted
        # What this process sends names them as the host does, which finds its own by that.
        vars(sys.modules["__main__"]).update(by_value)
    parent = os.pidfd_open(process_obj._parent_pid)
    process_obj.run = passing_interrupts_on(process_obj.run)
    code: int = process_obj._bootstrap(parent_sentinel=parent)  # what runs it with each start method, since 2.6
    return code
