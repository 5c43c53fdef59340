"""Entrypoints that reach for what is not theirs: host, zygote and other tasks, each in every way there is.

Nothing here does harm where it succeeds: signals are number 0, what is written is what was read, and so on.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from actor_classes import Worker
from subactors.runtime import EntrypointTask

_SLEEP: Final = shutil.which("sleep") or ""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_X32, _PRLIMIT = 0x40000000, 302
_PTRACE_SEIZE, _PTRACE_DETACH = 0x4206, 17
_TGKILL, _RT_SIGQUEUEINFO, _PROCESS_VM_READV, _PIDFD_GETFD = {"x86_64": (234, 129, 310, 438)}.get(
    os.uname().machine
) or (131, 138, 270, 438)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def neighbours() -> dict[str, int]:
    """The process ids of those who are not to be reached."""
    zygote = os.getppid()
    children = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
    sibling = next(int(pid) for pid in children if int(pid) != os.getpid())
    return {"host": parent_of(zygote), "zygote": zygote, "sibling": sibling}


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _by_pidfd(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, 0)  # type: ignore[arg-type]  # 0 is a signal to the kernel
    finally:
        os.close(pidfd)


def _queue(pid: int) -> None:
    info = (ctypes.c_int * 32)(0, 0, -1)  # SI_QUEUE
    _checked(_LIBC.syscall(_RT_SIGQUEUEINFO, pid, 0, info))


def _seize(pid: int) -> None:
    _checked(_LIBC.ptrace(_PTRACE_SEIZE, pid, None, None))
    _LIBC.ptrace(_PTRACE_DETACH, pid, None, None)


def _read_memory(pid: int) -> None:
    here = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(here), 8)
    no_flags = ctypes.c_ulong(0)  # as wide as the kernel reads: it is the one argument that goes by the stack
    _checked(_LIBC.syscall(_PROCESS_VM_READV, pid, vector, 1, vector, 1, no_flags))


def _open_memory(pid: int) -> None:
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))


def _steal(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        stolen = _LIBC.syscall(_PIDFD_GETFD, pidfd, 1, 0)
        _checked(stolen)
        os.close(stolen)
    finally:
        os.close(pidfd)


def _limit(pid: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_CORE, resource.prlimit(pid, resource.RLIMIT_CORE))


def _limit_as_x32(pid: int) -> None:
    if os.uname().machine != "x86_64":
        raise PermissionError
    limits = (ctypes.c_uint64 * 2)(*resource.prlimit(pid, resource.RLIMIT_CORE))
    result = _LIBC.syscall(_X32 | _PRLIMIT, pid, resource.RLIMIT_CORE, limits, None)
    if result < 0 and ctypes.get_errno() == errno.ENOSYS:  # there are no such programs on this kernel
        raise PermissionError
    _checked(result)


WAYS: Final[dict[str, Callable[[int], object]]] = {
    "kill": lambda pid: os.kill(pid, 0),
    "killpg": lambda pid: os.killpg(os.getpgid(pid), 0),
    "tgkill": lambda pid: _checked(_LIBC.syscall(_TGKILL, pid, pid, 0)),
    "rt_sigqueueinfo": _queue,
    "pidfd_send_signal": _by_pidfd,
    "ptrace": _seize,
    "process_vm_readv": _read_memory,
    "/proc/PID/mem": _open_memory,
    "/proc/PID/environ": lambda pid: Path(f"/proc/{pid}/environ").read_bytes(),
    "/proc/PID/maps": lambda pid: Path(f"/proc/{pid}/maps").read_text(),
    "/proc/PID/fd": lambda pid: Path(f"/proc/{pid}/fd/0").readlink(),
    "/proc/PID/root": lambda pid: Path(f"/proc/{pid}/root").readlink(),
    "pidfd_getfd": _steal,
    "prlimit": _limit,
    "prlimit of a program for x32": _limit_as_x32,
}


def _try(way: Callable[[int], object], pid: int) -> str:
    try:
        way(pid)
    except OSError as error:
        return "refused" if isinstance(error, PermissionError) else f"failed: {error}"
    return "reached"


def tries(task: EntrypointTask) -> dict[str, str]:
    """Answer what comes of one way, for each neighbour."""
    return {who: _try(WAYS[task.text], pid) for who, pid in neighbours().items()}


def tries_from_a_program(task: EntrypointTask) -> dict[str, str]:
    """The same by a program that it starts, in a session of its own."""
    program = "import sys, intruding_entrypoints as r; print(r._try(r.WAYS[sys.argv[1]], int(sys.argv[2])))"
    return {
        who: subprocess.run(
            [sys.executable, "-c", program, task.text, str(pid)],
            start_new_session=True,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout.strip()
        for who, pid in neighbours().items()
    }


def sends_a_signal_through_a_socket(task: EntrypointTask) -> str:
    """Have SIGURG, which does nothing, sent to the host by the kernel; answer what comes of naming it the owner."""
    del task
    near, far = socket.socketpair()
    with near, far:
        fcntl.fcntl(near, fcntl.F_SETOWN, neighbours()["host"])
        fcntl.fcntl(near, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(near, fcntl.F_SETFL, os.O_ASYNC)
        far.send(b"now")
    return "sent"


def connects(task: EntrypointTask) -> str:
    """Connect to an abstract socket."""
    with socket.socket(socket.AF_UNIX) as near:
        try:
            near.connect("\0" + task.text)
        except PermissionError:
            return "refused"
    return "connected"


def ends_its_own(task: EntrypointTask) -> list[int]:
    """End a program of its own, one in another session, and an actor of a system of its own; answer how they ended."""
    del task
    plain = subprocess.Popen([_SLEEP, "600"])
    apart = subprocess.Popen([_SLEEP, "600"], start_new_session=True)
    plain.kill()
    os.killpg(apart.pid, signal.SIGKILL)
    actor = Worker.start()
    process = actor.proxy().pid().get()
    environ = Path(f"/proc/{process}/environ").read_bytes()
    os.kill(process, signal.SIGKILL)
    actor.actor_stopped.wait(30)
    return [plain.wait(), apart.wait(), len(environ) > 0]


def talks_to_its_own(task: EntrypointTask) -> str:
    """Connect to an abstract socket of its own from a program."""
    with socket.socket(socket.AF_UNIX) as near:
        near.bind("\0" + task.id)
        near.listen()
        program = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0{task.id}'); s.send(b'hello')"
        with subprocess.Popen([sys.executable, "-c", program]), near.accept()[0] as far:
            return far.recv(5).decode()


def says_what_it_may(task: EntrypointTask) -> dict[str, str]:
    """Answer what the kernel says of its privileges, and what signals to the host come to."""
    del task
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    host = parent_of(os.getppid())
    return {"no_new_privs": status["NoNewPrivs"], "kill": _try(WAYS["kill"], host)}


def stops_itself(task: EntrypointTask) -> str:
    """Be stopped for good."""
    task.emit("now")
    os.kill(os.getpid(), signal.SIGSTOP)
    return "went on"


def stays(task: EntrypointTask) -> str:
    """Be there until it is stopped."""
    task.emit("here")
    task.wait_for_stop(600)
    return "stopped"


def limits_itself(_task: EntrypointTask) -> list[object]:
    """Answer what limits it has when it has lowered its own, and what a program that it starts then has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return [soft - 1 == resource.getrlimit(resource.RLIMIT_NOFILE)[0], soft - 1 == int(done.stdout)]


def raises_its_limits(_task: EntrypointTask) -> list[str]:
    """Answer what comes of raising the limits that it was given."""
    return [_try(_raise_limit, kind) for kind in (resource.RLIMIT_DATA, resource.RLIMIT_CPU)]


def _raise_limit(kind: int) -> None:
    _, hard = resource.getrlimit(kind)
    try:
        resource.setrlimit(kind, (hard, hard))
        resource.setrlimit(kind, (hard, hard + 1))
    except ValueError as error:  # so Python calls it
        raise PermissionError from error
