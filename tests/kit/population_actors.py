"""An actor that starts what is to outlive it."""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

from populations import Kind, leave_tree, start_population
from subactors.actors import ProcessActor

CLONE_PARENT = 0x8000


class Leaving(ProcessActor):
    """Starts what is to outlive it."""

    def population(self, kind: Kind, pulse: str, *, marked: bool = False) -> None:
        start_population(kind, pulse, dict(os.environ) if marked else None)

    def populations_beside(self, kind: Kind, pulse: str) -> None:
        """Start one after the other, which are the zygote's children at once, for as long as this lives."""
        leave_tree()
        while True:
            daemonise(lambda: start_population(kind, pulse))
            self.supervisor.emit("one more")
            time.sleep(0.05)

    def pid(self) -> int:
        return os.getpid()

    def daemon_beside(self) -> int:
        leave_tree()
        return daemonise(lambda: time.sleep(600))

    def sibling_by_clone(self) -> int:
        pid = ctypes.CDLL(None).syscall(56 if os.uname().machine == "x86_64" else 220, CLONE_PARENT | 17, 0, 0, 0, 0)
        if pid == 0:
            os.execve("/bin/sleep", ["sleep", "600"], {})  # noqa: S606 - that is what is wanted
        return int(pid)


def daemonise(work: Any) -> int:
    """Do something in a process that is no child of this one; return its id, 0 if it is ended before it can tell."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            work()
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    told = os.read(reading, 20)
    os.close(reading)
    return int(told or 0)
