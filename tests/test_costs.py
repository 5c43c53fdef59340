"""What a task costs, in things that do not depend on the machine, each with a bound: a guard against getting slower.

Bounds are some 20 % above what was measured, which is beside each as a comment. What costs more than that on purpose
is measured again with `python tests/kit/counting_host.py plain 40` (and `agent 40`, `idle 10`) and by running this file
with `-s`, which prints all that it has counted; the bound and its comment change together. Cheaper is always fine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from counting_host import BEGINS, ENDS

HOST: Final = str(Path(__file__).parent / "kit" / "counting_host.py")
TASKS: Final = 20
TRACED_TASKS: Final = 10

BOUNDS: Final[dict[str, dict[str, float]]] = {
    # An entrypoint that says its text and returns it.
    "plain": {
        "forks": 1,
        "exits": 1,
        "messages with the zygote": 3,  # 3: fork, forked, exited
        "messages to the task": 1,  # 1: its start
        "bytes to the task": 1850,  # 1693, of which some are folders' names
        "messages from the task": 4,  # 4: ready, output, finished, stopped
        "bytes from the task": 190,  # 155
        "messages in the mailbox": 7,  # 6: run, ready, finished, ended, recorded, wait
        "journal writes": 2.5,  # 2: started, ended; that it runs, and is read, goes with the next of these
        "journal commits": 4.5,  # 3; where tasks take long what goes with the next has one of its own
        "journal statements": 9,  # 7
        "page faults of the task": 1240,  # 1035
        "page faults of the zygote": 160,  # 131
    },
    # An agent whose model calls one tool and then answers: two turns.
    "agent": {
        "forks": 1,
        "exits": 1,
        "messages with the zygote": 3,
        "messages to the task": 1,
        "bytes to the task": 2050,  # 1814
        "messages from the task": 10,  # 9
        "bytes from the task": 2050,  # 1724
        "messages in the mailbox": 13,  # 11
        "journal writes": 2.5,  # 2, without its messages
        "journal commits": 8.5,  # 5
        "journal statements": 25,  # 21, two of them for the tool that is at work
        "page faults of the task": 1900,  # 1595
        "page faults of the zygote": 160,  # 135
    },
    # A task that waits for its stop, beside others.
    "idle": {
        "descriptors of the host": 3,  # 3: channel, pidfd, output file
        "descriptors of the zygote": 0,
        "threads of the host": 0,
        "descriptors of its own": 4,  # 4: three standard streams, channel
        "threads of its own": 2,  # 2: its work and its mailbox
    },
    # Calls of the kernel that do something, for one plain task; see `WAITING`.
    "system calls": {
        "MainThread": 3,  # 2
        "TaskSupervisor, subactors-journal": 66,  # 59: commits are made by one or the other, and in turn
        "subactors-io": 20,  # 15: its reads depend on what arrives together
        # 16; and 4 with which `os.fork` looks for threads in `/proc/self/stat`, from Python 3.12 on
        "zygote": 20 if sys.version_info < (3, 12) else 24,
        "task": 76,  # 72, 3 of them for its fence
    },
    "import": {
        "modules": 207,  # 202, 2 of them for the context of a tool call, 10 rooms: packages with a docstring only
        "modules of this package": 92,  # 90, without rooms
    },
}

WAITING: Final = frozenset({"futex", "epoll_wait", "poll", "sched_yield", "restart_syscall", "rt_sigreturn"})
"""Calls that wait, or hand over the interpreter's lock: how many there are depends on who runs when."""

COUNTED_TOGETHER: Final = dict.fromkeys(("TaskSupervisor", "subactors-journal"), "TaskSupervisor, subactors-journal")
"""Threads that do each other's work."""

ATTEMPTS: Final = 3
"""Where a machine does other work, threads wake up more often than there is reason to: the least counts."""

UNCOUNTED_THREADS: Final = frozenset({"subactors-vitals", "subactors-house"})
"""What they do depends on how much time passes, or on what earlier runs have left."""

SPLIT: Final = {"_colorize", "_opcode_metadata", "_tokenize", "pathlib._abc", "pathlib._local"}
"""Modules that were parts of others before Python 3.13."""


def counted(kind: str, tasks: int, state: Path, *before: str) -> dict[str, Any]:
    done = subprocess.run(
        [*before, sys.executable, HOST, kind, str(tasks)],
        env={**os.environ, "SUBACTORS_STATE_DIR": str(state)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def assert_within_bounds(kind: str, found: dict[str, float]) -> None:
    print(kind, json.dumps(found, indent=1))
    bounds = BOUNDS[kind]
    assert found.keys() == bounds.keys()
    assert {name: cost for name, cost in found.items() if cost > bounds[name]} == {}, f"bounds are {bounds}"


@pytest.mark.parametrize("kind", ["plain", "agent", "idle"])
def test_a_task_costs_no_more_than_it_did(kind: str, tmp_path: Path) -> None:
    found = counted(kind, TASKS, tmp_path)

    assert_within_bounds(kind, found["a task"])
    # The host's: main, supervisor, I/O, journal, vitals, and at first one that sees to earlier runs.
    assert found["threads of the host"] <= 6
    assert found["threads of the zygote"] == 1


def test_a_task_makes_no_more_system_calls_than_it_did(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace, which counts system calls, is not installed")
    trace = tmp_path / "trace"
    may_trace = subprocess.run([strace, "-o", str(trace), "true"], check=False, capture_output=True, text=True)
    if may_trace.returncode != 0:
        pytest.skip(f"strace may not trace here: {may_trace.stderr.strip()}")

    least: dict[str, float] = {}
    for attempt in range(ATTEMPTS):
        pids = counted("plain", TRACED_TASKS, tmp_path / f"state{attempt}", strace, "-f", "-qq", "-o", str(trace))[
            "pids"
        ]
        names = {int(thread): name.partition("-0")[0] for thread, name in pids["host"].items()}
        threads = {thread: COUNTED_TOGETHER.get(name, name) for thread, name in names.items()}
        found = calls_by_thread(trace.read_text(errors="replace"), {**threads, pids["zygote"]: "zygote"})
        costs = {who: round(count / TRACED_TASKS, 1) for who, count in found.items()}
        least = {who: min(cost, least.get(who, cost)) for who, cost in costs.items()}
        if all(cost <= BOUNDS["system calls"].get(who, 0) for who, cost in least.items()):
            break
    assert_within_bounds("system calls", least)


def calls_by_thread(trace: str, names: dict[int, str]) -> Counter[str]:
    """Return how many calls there are between the marks; threads and processes without a name are tasks'."""
    lines = trace.splitlines()
    begins, ends = (next(at for at, line in enumerate(lines) if f'"{mark}"' in line) for mark in (BEGINS, ENDS))
    found: Counter[str] = Counter()
    for line in lines[begins + 1 : ends]:
        thread, call = line.split(maxsplit=1)
        who = names.get(int(thread), "task")
        # What is no call: signals, ends of processes, and the second half of a call that was begun above.
        if not call.startswith(("---", "+++", "<...")) and who not in UNCOUNTED_THREADS:
            found[who] += call.partition("(")[0] not in WAITING
    return found


def test_importing_brings_no_more_modules_than_it_did() -> None:
    program = """
import json, sys
before = set(sys.modules)
from subactors.runtime import Runtime
brought = sorted(set(sys.modules) - before)
# What a room has beside its docstring are the modules in it.
rooms = [
    name for name in brought
    if getattr(sys.modules[name], "__file__", None) and hasattr(sys.modules[name], "__path__")
    if all(part.startswith("__") or f"{name}.{part}" in sys.modules for part in vars(sys.modules[name]))
]
print(json.dumps([brought, rooms]))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    modules, rooms = json.loads(done.stdout)

    ours = [name for name in modules if name.partition(".")[0] == "subactors" and name not in rooms]
    # Python 3.13 splits some of its own modules, which is nobody's doing here.
    counted = [name for name in modules if name not in SPLIT]
    assert_within_bounds("import", {"modules": len(counted), "modules of this package": len(ours)})
