"""Setup: what the zygote does once, before it serves, so that every child inherits it and need not do it itself.

Everything here runs in the zygote, before its first fork.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import io
import logging
import os
import resource
import signal
import sys
from types import ModuleType
from typing import Final

from ..cpython import exit_function_of_multiprocessing, forget_exit_functions, handlers_of_logging
from ..late_import import when_imported
from ..linux import kernel

__all__ = [
    "OOM_SCORE",
    "drop_the_hosts_signal_setup",
    "open_oom_score",
    "prepare_for_children",
    "raise_descriptor_limit",
]

OOM_SCORE: Final = b"500"
"""What an actor's process adds to its badness, so that the kernel kills it before the host when memory runs out."""

_HOLD_NOTHING_BACK: Final = {type(None), logging.NullHandler, type(logging.lastResort)}
"""Types of handlers; None is one that is gone."""


_MOST_KEPT: Final = 4096
"""Descriptors that no child may have beyond those that host and zygote may: several packets' worth for each of many."""


def raise_descriptor_limit() -> tuple[int, int]:
    """Go from the soft to the hard limit, as each child costs some; return what children are to have.

    That is a little less than the hard limit. Who has more descriptors on their way through sockets than it may have
    open can send no more, and all processes of a user count together. So no child can keep host or zygote from it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = hard - min(hard // 4, _MOST_KEPT)
    return min(soft, most), most


def open_oom_score() -> tuple[int | None, bytes]:
    """Return a descriptor of the zygote's `oom_score_adj`, None where children need not have it raised, and its value.

    The kernel takes the zygote last, as with it all actors end. Lowering it again to what it was needs no privilege.
    """
    # A container may have no writable /proc; actors run all the same.
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        own = os.read(descriptor, 16).strip()
        if int(own) < int(OOM_SCORE):
            return descriptor, own
        os.close(descriptor)
    return None, b""


def _shut_logging_down() -> None:
    """Do what `logging` does at its exit, where there is a handler that may hold something back."""
    for handler in handlers_of_logging():
        if type(handler) not in _HOLD_NOTHING_BACK:
            logging.shutdown()
            return


def drop_the_hosts_signal_setup() -> None:
    """Unblock and no longer ignore what the host's I/O thread blocks and the host ignores; both outlive an exec."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    kept = {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}  # Python itself ignores the last two
    for number in signal.valid_signals() - kept:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def prepare_for_children(host_name: str, host_pid: int) -> None:
    """Set up what every child would have to, so that they inherit it instead."""
    when_imported("process", lambda _: _introduce(host_name, host_pid))
    when_imported("resource_tracker", _adopt)
    # The host decides what a Ctrl-C at the terminal means; neither this session nor its children's hears of it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A process that wakes up as the host sends it something would take the core that the host is sending on, and all
    # who wait for the host would wait for that process, too.
    kernel.be_background_work()
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A process that is killed loses what sits in a buffer.
            stream.reconfigure(line_buffering=True)
    # By number: a child has its own file behind it.
    faulthandler.enable(file=2, all_threads=True)
    for number in (signal.SIGUSR1, signal.SIGRTMAX):  # for people, and for `ActorProcess.dump_stack`
        faulthandler.register(number, file=2, all_threads=True)
    # What the modules here want done at their exit is not for each child to do; what keeps its own order is.
    forget_exit_functions()
    atexit.register(_shut_logging_down)
    end_multiprocessing = exit_function_of_multiprocessing()
    if end_multiprocessing is not None:
        atexit.register(end_multiprocessing)


def _introduce(host_name: str, host_pid: int) -> None:
    from ..child.identity import introduce  # noqa: PLC0415 - it imports `multiprocessing`

    introduce(host_name, host_pid)


def _adopt(module: ModuleType) -> None:
    from ..child.tracker import adopt  # noqa: PLC0415 - rarely needed

    adopt(module)
