"""Entrypoints that use more than they may, for tests of limits. They run until something ends them."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import subprocess
import sys
import time
from typing import NoReturn

from subactors.runtime import EntrypointTask

_LONG = 600.0
_BUSY = "while True: pass"
_HOLDS = "import time; kept = bytearray(100_000_000); time.sleep(600)"


def waits(task: EntrypointTask) -> str:
    """Wait for a stop, and answer then."""
    task.emit("so far ")
    task.wait_for_stop(_LONG)
    return "stopped"


def deaf(task: EntrypointTask) -> NoReturn:
    """Take no notice of a stop."""
    task.emit("so far ")
    while True:
        time.sleep(0.01)


def computes(task: EntrypointTask) -> NoReturn:
    """Use CPU time."""
    task.emit("so far ")
    while True:
        pass


def has_others_compute(task: EntrypointTask) -> str:
    """Have another process use CPU time."""
    task.emit("so far ")
    subprocess.run([sys.executable, "-S", "-c", _BUSY], check=False)
    return "nobody ended it"


def allocates(task: EntrypointTask) -> str:
    """Take a lot of memory at once."""
    task.emit("so far ")
    kept = bytearray(1_000_000_000)
    return f"{len(kept)} bytes"


def has_others_allocate(task: EntrypointTask) -> str:
    """Have two other processes take some memory each."""
    task.emit("so far ")
    for _ in range(2):
        subprocess.Popen([sys.executable, "-S", "-c", _HOLDS])
    task.wait_for_stop(_LONG)
    return "nobody ended it"


def forks(task: EntrypointTask) -> str:
    """Start as many processes as the text says, and say their ids."""
    for _ in range(int(task.text)):
        child = os.fork()
        if not child:
            time.sleep(_LONG)
            os._exit(0)
        task.emit(f"{child} ")
    task.wait_for_stop(_LONG)
    return "nobody ended it"


def says_without_end(task: EntrypointTask) -> NoReturn:
    """Say a kilobyte after the other."""
    while True:
        task.emit("x" * 999 + "\n")


def fills_a_memfd(task: EntrypointTask) -> str:
    """Fill memory that is mapped by nobody, and that only another process has open in the end."""
    task.emit("so far ")
    held = os.memfd_create("held")
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], pass_fds=[held])
    for _ in range(300):
        os.write(held, bytes(1_000_000))
    os.close(held)
    task.wait_for_stop(_LONG)
    return "nobody ended it"


def shares_memory(task: EntrypointTask) -> str:
    """Fill memory that is shared with another process, as `multiprocessing` does."""
    task.emit("so far ")
    memory = mmap.mmap(-1, 300_000_000)
    if not os.fork():
        while True:
            memory[::4096]
            time.sleep(0.01)
    for at in range(0, len(memory), 1_000_000):
        memory[at : at + 1_000_000] = bytes(1_000_000)
    task.wait_for_stop(_LONG)
    return "nobody ended it"


def has_unreaped_children_compute(task: EntrypointTask) -> str:
    """Have children use CPU time, one after the other, that nobody waits for: nowhere is it counted as the parent's."""
    task.emit("so far ")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(100):
        if not os.fork():
            until = time.process_time() + 0.25
            while time.process_time() < until:
                pass
            os._exit(0)
        with contextlib.suppress(ChildProcessError):
            os.wait()
    return "nobody ended it"
