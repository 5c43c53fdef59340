"""Actors that a zygote rehearses with, and a module that it has imported: each leaves something behind on purpose."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import selectors
import signal
import socket
import sys
import threading
from typing import Any

from subactors.actors import ProcessActor
from subactors.actors.child.channel import ChildChannel

__all__ = [
    "ClosesWhatWasOpen",
    "CountsChannels",
    "IsReferredToForEver",
    "LeavesItsLoopRunning",
    "LeavesOpen",
    "NeverEnds",
    "Printing",
    "SwallowsTheLimit",
    "open_sockets",
]

kept: list[Any] = []
"""What is open; a rehearsal may close it, or leave more."""


class _Circle:
    """Holds a socket that is closed when the collector finds this."""

    def __init__(self) -> None:
        self.itself = self
        self.socket = socket.socket()


def open_sockets() -> None:
    """Leave two open, of which one is closed whenever the collector finds it. To be called in the zygote."""
    kept.append(socket.socket())
    _Circle()


class ClosesWhatWasOpen(ProcessActor):
    """Closes what its module had open, and stops."""

    def on_start(self) -> None:
        while kept:
            kept.pop().close()
        self.stop()


class CountsChannels(ProcessActor):
    """Stops at once as a rehearsal; tells how many channels its process has objects of, without collecting any."""

    def __init__(self, rehearsal: bool) -> None:
        super().__init__()
        self._rehearsal = rehearsal

    def on_start(self) -> None:
        if self._rehearsal:
            self.stop()

    def channels(self) -> int:
        return sum(isinstance(each, ChildChannel) for each in gc.get_objects())


class LeavesOpen(ProcessActor):
    """Leaves a socket open, and stops."""

    def on_start(self) -> None:
        kept.append(socket.socket())
        self.stop()


class Printing(ProcessActor):
    """Prints, and stops."""

    def on_start(self) -> None:
        print("rehearsed")
        print("rehearsed", file=sys.stderr)
        self.stop()


class NeverEnds(ProcessActor):
    """Waits for ever, with a socket in a circle."""

    def on_start(self) -> None:
        circle = _Circle()
        threading.Event().wait()
        del circle


class LeavesItsLoopRunning(ProcessActor):
    """Has an event loop as one is that was interrupted while it ended."""

    def on_start(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio._set_running_loop(loop)
        sys.set_asyncgen_hooks(finalizer=lambda _generator: loop.stop())
        threading.Event().wait()


class SwallowsTheLimit(ProcessActor):
    """Goes on when it is first told that its time is over, and changes what the signal for that does."""

    def on_start(self) -> None:
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        threading.Event().wait()


class IsReferredToForEver(ProcessActor):
    """Has all kinds of things open, in places where no collector looks: a library may keep what it was not told to."""

    def on_start(self) -> None:
        loop = asyncio.new_event_loop()
        near, far = socket.socketpair()
        kept.append((loop, loop.create_task(_waits(far)), near.makefile("rb"), near))
        kept.append(selectors.DefaultSelector())
        kept.append(io.FileIO("/dev/null"))
        os.open("/dev/null", os.O_RDONLY)
        loop.run_forever()


async def _waits(far: socket.socket) -> None:
    await asyncio.open_connection(sock=far)
    await asyncio.Future()
