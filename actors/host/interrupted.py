"""Interrupted: what a Ctrl-C in the host is to its processes of the `multiprocessing` context.

A terminal sends it to the host's group. With the other start methods that has the host's processes in it; here each has
a session of its own, and hears nothing. The host would end, but for its exit, which waits for those that are no
daemons: a second Ctrl-C would be needed to end that wait. So the host passes the first one on to them: where it waits
for one of them, and where it ends by it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from multiprocessing import process, util
from typing import Final

__all__ = ["pass_interrupt_on", "pass_interrupt_on_at_exit", "passing_interrupts_on"]

_FIRST: Final = 100
"""Before what closes pools and queues, and before the exit waits for processes."""

_PASSED_ON: Final = "passed on to processes of subactors"
"""Where an interrupt has this among its variables, processes have had theirs: one Ctrl-C is one signal to each."""

_registered_in: Final[set[int]] = set()
"""The process in which it is registered: a fork of it registers anew."""


def pass_interrupt_on(interrupt: BaseException) -> None:
    """Send SIGINT to the processes of the context that are no daemons, once for an interrupt.

    Daemons are ended by the host's exit.
    """
    if _PASSED_ON in vars(interrupt):
        return
    vars(interrupt)[_PASSED_ON] = True
    for child in process.active_children():
        popen = getattr(child, "_popen", None)  # since Python 2.6; None for one that is closed
        if not child.daemon and getattr(popen, "method", None) == "zygote":
            popen.interrupt()  # type: ignore[union-attr]  # it is one of ours


def passing_interrupts_on(run: Callable[[], object]) -> Callable[[], None]:
    """Return what calls `run`, and passes on the interrupt that ends it: for `run` of a process of the context, in it.

    Its exit could not: since Python 3.13 `multiprocessing` calls what is registered when the exception is forgotten.
    """

    def run_and_pass_on() -> None:
        try:
            run()
        except KeyboardInterrupt as interrupt:
            pass_interrupt_on(interrupt)
            raise

    return run_and_pass_on


def pass_interrupt_on_at_exit() -> None:
    """See to it that this process, if an interrupt ends it, passes that on before it waits for others.

    May be repeated.
    """
    if os.getpid() not in _registered_in:
        _registered_in.clear()
        _registered_in.add(os.getpid())
        util.Finalize(None, _pass_on_if_interrupted, exitpriority=_FIRST)


def _pass_on_if_interrupted() -> None:
    if hasattr(sys, "ps1"):
        return  # at a prompt it was something before this exit
    ending = sys.exc_info()[1] or getattr(sys, "last_value", None)
    if isinstance(ending, KeyboardInterrupt):
        pass_interrupt_on(ending)


pass_interrupt_on_at_exit()  # here, as what is registered first is what the rest of the program finds there
