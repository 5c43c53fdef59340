"""Breaking off: calls code that may take too long, and ends the call in time, with nothing of it left.

The process goes on afterwards. The limit may strike anywhere, in the middle of what a library does to keep its own
order: between a descriptor and the object that closes it, or in an event loop's last steps. So descriptors that are
open afterwards are looked for, and closed.
"""

from __future__ import annotations

import _socket
import contextlib
import gc
import io
import os
import selectors
import signal
import sys
from collections.abc import Callable
from typing import Any

import pykka

from ..cpython import forget_running_loop, give_up_loop
from ..linux import kernel

__all__ = ["comes_to_its_end"]


class TimeLimit(KeyboardInterrupt):
    """A call has taken too long. An event loop lets an interrupt end it; other exceptions it only logs."""


def comes_to_its_end(play: Callable[[], bool], limit: float) -> bool:
    """Call a function, and break it off if it takes too long. For the main thread.

    Args:
        play: returns whether it came to its end.
        limit: seconds that it may take; it is broken off again after as many more if it goes on.

    Returns:
        Whether it came to its end. If not, because it raised, exited or took too long, it has left nothing open, no
        actor, and no event loop.
    """
    before = kernel.open_descriptors()
    done = False
    with contextlib.suppress(BaseException):  # an actor may mean itself by exiting
        done = _in_time(play, limit)
    if not done:
        _forget(before)
    return done


def _in_time(play: Callable[[], bool], limit: float) -> bool:
    """Call a function, and raise in it when its time is over; again and again if it goes on."""
    is_playing = True

    def give_up(_number: int, _frame: object) -> None:
        if is_playing:
            raise TimeLimit

    handler = signal.signal(signal.SIGALRM, give_up)
    try:
        signal.setitimer(signal.ITIMER_REAL, limit, limit)
        try:
            return play()
        finally:
            is_playing = False
    finally:
        # Said twice, as the limit may come right before it is said first; the next one is far away then.
        is_playing = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def _forget(open_before: set[int]) -> None:
    """Let go of what a call that broke off has left."""
    # It might be told to stop with all other actors of a process, and be waited for.
    for reference in pykka.ActorRegistry.get_all():
        pykka.ActorRegistry.unregister(reference)
    # A loop that was interrupted while it ended is still the one that runs, and the one that minds generators.
    sys.set_asyncgen_hooks(None, None)
    forget_running_loop()
    # Sockets and event loops are in circles, and are closed with them.
    gc.collect()
    if kernel.open_descriptors() - open_before:
        _close_what_is_held(open_before)


def _close_what_is_held(open_before: set[int]) -> None:
    """Close what has been opened since, and is referred to all the same.

    A library that keeps something for each task, to forget it once the task has left a block, keeps tasks for ever that
    never did: with their event loop, and that with its sockets.
    """
    # Each by its object first, which would close the number again some day, whatever that stood for by then. What the
    # zygote has loaded is frozen, and not among these objects.
    found = [(item, type(item).__mro__) for item in gc.get_objects()]  # some load a library if asked for their class
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        for item, kinds in found:
            if asyncio.BaseEventLoop in kinds:
                _end_loop(item)
    for item, kinds in found:
        for kind in (_socket.socket, io.FileIO, selectors.DefaultSelector):
            with contextlib.suppress(Exception):  # it is half made, or closed
                if kind in kinds and item.fileno() not in open_before:
                    kind.close(item)  # a socket's own waits for the files that were made of it
    for number in kernel.open_descriptors() - open_before:
        os.close(number)


def _end_loop(loop: Any) -> None:
    """Close an event loop, and let it say nothing about what it has not done."""
    if loop.is_closed():
        return
    give_up_loop(loop)
    with contextlib.suppress(Exception):  # it is half made
        loop.close()
