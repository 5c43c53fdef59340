"""What a look at a process tree finds: memory of all kinds, CPU time, processes, and what it cannot see."""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeAlias

import pytest
from processes_and_waits import wait_until
from subactors.actors.linux.kernel import open_descriptors
from subactors.runtime.vitals.proc import ProcReader
from subactors.runtime.vitals.trees import Machine, Tree, TreeUse

Start: TypeAlias = Callable[[str], int]

MB = 1_000_000
NEVER = float("inf")
BEGIN = """
import ctypes, fcntl, mmap, os, signal, threading, time
LIBC = ctypes.CDLL(None)
def fill(held):
    for _ in range(60): os.write(held, bytes(1_000_000))
    return held
"""
END = "\nprint('ready', flush=True)\ntime.sleep(600)"

KINDS = {
    "a memfd that nobody maps": "fill(os.memfd_create('x'))",
    "a sealed memfd": "fcntl.fcntl(fill(os.memfd_create('x', os.MFD_ALLOW_SEALING)), 1033, 15)",
    "a memfd that a child alone holds": """
held = fill(os.memfd_create('x'))
if not os.fork(): time.sleep(600)
os.close(held)
""",
    "a memfd in a table of a thread's own": """
held, kept = fill(os.memfd_create('x')), threading.Event()
def hold():
    LIBC.unshare(0x400)
    kept.set()
    time.sleep(600)
threading.Thread(target=hold, daemon=True).start()
kept.wait()
os.close(held)
""",
    "a file without a name in /dev/shm": "fill(os.open('/dev/shm', os.O_TMPFILE | os.O_RDWR))",
    "a memfd that two have touched": """
held = fill(os.memfd_create('x'))
memory = mmap.mmap(held, 0)
memory[::4096]
os.close(held)
if not os.fork():
    memory[::4096]
    time.sleep(600)
""",
    "an anonymous mapping that is shared": """
memory = mmap.mmap(-1, 60_000_000)
memory[:] = bytes(60_000_000)
os.fork() or time.sleep(600)
""",
    "a segment that is attached": """
LIBC.shmat.restype = ctypes.c_void_p
segment = LIBC.shmget(0, 60_000_000, 0o1600)
address = LIBC.shmat(segment, None, 0)
LIBC.shmctl(segment, 0, None)
ctypes.memset(ctypes.c_void_p(address), 1, 60_000_000)
""",
    "private memory": "memory = bytearray(b'x') * 60_000_000",
    "memory of a process whose first thread has ended": """
memory = bytearray(b'x') * 60_000_000
def last():
    while 'Z' not in open(f'/proc/{os.getpid()}/stat').read().rpartition(')')[2][:3]: time.sleep(0.01)
    print('ready', flush=True)
    time.sleep(600)
threading.Thread(target=last).start()
LIBC.syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
""",
}


@pytest.fixture
def machine() -> Iterator[Machine]:
    reader = ProcReader()
    yield Machine(reader)
    reader.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program in a session of its own; its id, as soon as it is ready."""
    started = []

    def begin(code: str) -> int:
        program = [sys.executable, "-S", "-c", BEGIN + code + END]
        process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process.pid

    yield begin
    for process in started:
        os.killpg(process.pid, 9)
        process.communicate()


def use_of(machine: Machine, pid: int, exact_from: float = 0.0) -> TreeUse:
    use = Tree(machine).look(pid, exact_from)
    assert use is not None
    return use


@pytest.mark.parametrize("kind", KINDS)
def test_memory_counts_once_whoever_holds_it_and_how(machine: Machine, start: Start, kind: str) -> None:
    use = use_of(machine, start(KINDS[kind]))

    assert use.memory is not None
    assert 60 * MB < use.memory < 90 * MB
    assert use.bound >= 60 * MB
    if os.geteuid() == 0 or "first thread" not in kind:
        assert use.unseen == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing hides from root")
def test_a_process_that_hides_its_memory_counts_with_all_that_it_has(machine: Machine, start: Start) -> None:
    use = use_of(machine, start(KINDS["private memory"] + "\nLIBC.prctl(4, 0, 0, 0, 0)"))

    assert use.memory == use.bound >= 60 * MB
    assert use.unseen == (
        "what is open in processes that hide it "
        "and memory of processes that hide it, so that all of it counts as private"
    )


def test_what_the_host_has_mapped_does_not_count_for_those_with_whom_it_is_shared(
    machine: Machine, start: Start
) -> None:
    with TemporaryFile(dir="/dev/shm") as file:
        file.truncate(60 * MB)
        with mmap.mmap(file.fileno(), 0) as shared:
            here = f"/proc/{os.getpid()}/fd/{file.fileno()}"
            pid = start(f"memory = mmap.mmap(os.open('{here}', os.O_RDWR), 0)\nmemory[::4096]")
            shared[:] = bytes(60 * MB)
            use = use_of(machine, pid)

    assert use.memory is not None
    assert use.memory < 30 * MB


def test_a_file_in_memory_that_was_there_before_does_not_count_for_those_who_read_it(
    machine: Machine,
) -> None:
    before = os.memfd_create("before")
    os.set_inheritable(before, True)
    os.write(before, bytes(60 * MB))
    written = os.fstat(before).st_ctime
    wait_until(lambda: time.time() > written + 1.5, "it is old")
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", BEGIN + END], stdout=subprocess.PIPE, text=True, pass_fds=[before]
    )
    os.close(before)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        use = use_of(machine, process.pid)
        process.kill()

    assert use.memory is not None
    assert use.memory < 30 * MB


def test_a_tree_far_from_its_limit_is_not_measured_but_bounded(machine: Machine, start: Start) -> None:
    use = use_of(machine, start(KINDS["a memfd that nobody maps"]), exact_from=1000 * MB)

    assert use.memory is None
    assert 60 * MB < use.bound < 1000 * MB


def test_processes_that_have_left_their_parents_still_count_once_they_were_seen(machine: Machine, start: Start) -> None:
    pid = start("if not os.fork():\n    os.fork()\n    time.sleep(600)")
    tree = Tree(machine)
    wait_until(lambda: (use := tree.look(pid, NEVER)) and use.processes == 3, "all three are there")
    middle = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    os.kill(middle, 9)
    wait_until(lambda: (use := tree.look(pid, NEVER)) and use.processes == 2, "the middle one has ended")


def test_a_process_of_a_thousand_threads_is_looked_at_with_its_children(machine: Machine, start: Start) -> None:
    code = "for _ in range(1000): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"

    assert use_of(machine, start(code + "\nos.fork() or time.sleep(600)")).processes == 2


def test_more_descriptors_than_a_look_goes_through_are_said(
    machine: Machine, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.vitals.trees._MOST_DESCRIPTORS", 50)
    pid = start("held = [os.open('/dev/null', os.O_RDONLY) for _ in range(100)]")

    assert use_of(machine, pid).unseen == "more than 50 descriptors"


def test_a_look_needs_no_descriptors_but_those_in_reserve(machine: Machine, start: Start) -> None:
    pid = start(KINDS["an anonymous mapping that is shared"])
    tree = Tree(machine)
    tree.look(pid, 0.0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_descriptors()) + 1, limits[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        uses = [tree.look(pid, 0.0) for _ in range(3)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)

    assert [use is not None and use.processes for use in uses] == [2, 2, 2]
