"""Entrypoints and an actor that lose their own channel, each in a way of its own, and live on."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from subactors.actors import ProcessActor
from subactors.runtime import EntrypointTask

__all__ = ["WAYS", "ClosesInConstructor", "Disconnecting", "LosesAtRehearsal", "lose"]

_CHANNEL = 3
_LONG = 600.0
"""Seconds; nobody waits for them to pass."""


def lose(how: str) -> None:
    """Lose the channel of this process."""
    match how:
        case "close":
            os.close(_CHANNEL)
        case "close all":
            os.closerange(_CHANNEL, 4096)
        case "replace":
            os.dup2(os.open(os.devnull, os.O_RDWR), _CHANNEL)
        case "stop writing" | "stop reading" | "stop both":
            directions = {"stop writing": socket.SHUT_WR, "stop reading": socket.SHUT_RD, "stop both": socket.SHUT_RDWR}
            with socket.socket(fileno=os.dup(_CHANNEL)) as channel:
                channel.shutdown(directions[how])
        case "leave to a child":
            subprocess.Popen(["/bin/sleep", "600"], pass_fds=(_CHANNEL,))
            os.close(_CHANNEL)
        case "exec":
            os.execv("/bin/sleep", ["sleep", "600"])  # noqa: S606 - a process that becomes another program is the point
        case _:
            raise AssertionError(how)


WAYS = ["close", "close all", "replace", "stop writing", "stop reading", "stop both", "leave to a child", "exec"]
"""What `lose` understands."""


def loses_and_lives_on(task: EntrypointTask) -> None:
    """Say something, lose the channel as the task's text says, and take no notice of anything."""
    task.emit("so far ")
    lose(task.text)
    while True:
        try:
            time.sleep(_LONG)
        except KeyboardInterrupt:
            continue


def loses_and_returns(task: EntrypointTask) -> str:
    """Lose the channel, and answer."""
    task.emit("so far ")
    lose(task.text)
    return "answered"


def loses_and_speaks(task: EntrypointTask) -> str:
    """Lose the channel, and go on to speak."""
    task.emit("so far ")
    lose(task.text)
    while True:
        task.emit("more ")


def speaks_where_another_socket_is(task: EntrypointTask) -> None:
    """Close the channel, have another socket get its number, and speak; what that hears is in the file then."""
    task.emit("so far ")
    os.close(_CHANNEL)
    near, far = socket.socketpair()
    assert near.fileno() == _CHANNEL
    far.sendall(b"for whom?")

    def hear() -> None:
        # Nothing comes once the other end is closed: an interrupt of this task does that, where its host is late.
        if heard := far.recv(100):
            Path(task.text).write_bytes(heard)

    threading.Thread(target=hear, daemon=True).start()
    task.emit("more ")


class Disconnecting(ProcessActor):
    """Loses its channel as it is told, and lives on."""

    def on_receive(self, message: Any) -> None:
        lose(message)
        time.sleep(_LONG)


class LosesAtRehearsal(ProcessActor):
    """To rehearse with: in a process that stands by it loses the channel, and lives on."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    def on_start(self) -> None:
        """Not in the zygote, which rehearses as well."""
        if Path("/proc/self/comm").read_text() == "subactor\n":
            lose(self._how)
            time.sleep(_LONG)
        self.stop()


class ClosesInConstructor(ProcessActor):
    """Loses its channel before it is ready."""

    def __init__(self, how: str) -> None:
        super().__init__()
        lose(how)
        time.sleep(_LONG)
