"""Warm commands: the command line in a process of its own, forked from one that has imported it.

A test file asks for it with `pytestmark = pytest.mark.usefixtures("warm_commands")`. That saves the start of Python and
the imports, which are most of what a command takes. All else is as with `python -m`: descriptors, environment, working
directory, module path, exit. What Python makes of its environment before it runs anything needs a program, and so does
who sends signals or has a terminal.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn

__all__ = ["run_command", "started"]

_MODULE: Final = "subactors.runtime.cli"

_LEFT_OUT: Final = frozenset({"__main__", "top"})
"""Modules of the command line that few commands import."""

_connections: list[socket.socket] = []
"""To the process that commands are forked from, once it has been asked for."""


@contextlib.contextmanager
def started() -> Iterator[None]:
    """Have commands forked until the block is left."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            descriptor = theirs.fileno()
            subprocess.run([sys.executable, __file__, str(descriptor)], pass_fds=[descriptor], check=True)
        _connections.append(ours)
        yield
        _connections.remove(ours)


def run_command(
    *arguments: object,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    text: str = "",
    timeout: float = 50.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with `text` as its input; as a program where a file has not asked for warm ones."""
    words = [str(argument) for argument in arguments]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(os.fdopen(os.memfd_create("command"), "w+b", buffering=0)) for _ in range(4)]
        given, entered, printed, told = files
        entered.write(text.encode())
        entered.seek(0)
        if _connections:
            given.write(json.dumps([words, str(cwd or Path.cwd()), dict(environ or os.environ)]).encode())
            status = _have_forked([file.fileno() for file in files], timeout)
        else:
            status = subprocess.run(
                [sys.executable, "-m", _MODULE, *words],
                cwd=cwd,
                env=environ,
                stdin=entered,
                stdout=printed,
                stderr=told,
                timeout=timeout,
                check=False,
            ).returncode
        shown = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (printed, told)]
    return subprocess.CompletedProcess(words, status, *shown)


def _have_forked(descriptors: list[int], timeout: float) -> int:
    """Have a command forked, and wait for its exit status, as `subprocess` has it."""
    answers, answer_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with answers:
        with answer_end:
            socket.send_fds(_connections[0], [b"fork"], [*descriptors, answer_end.fileno()])
        pid = int(answers.recv(32))
        answers.settimeout(timeout)
        try:
            return os.waitstatus_to_exitcode(int(answers.recv(32)))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            answers.settimeout(None)
            answers.recv(32)
            raise


def _serve(control: socket.socket) -> None:
    """Fork a command for each request. Returns in its process, to run it there; exits once nobody may ask any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait for the commands are waited for by nobody
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 32, 5)
        if not descriptors:
            sys.exit()
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            *files, answer = descriptors
            pid = os.fork()
            if pid == 0:
                os.close(answer)
                return _become(*files)
            _tell_of_its_end(pid, socket.socket(fileno=answer))
        for descriptor in descriptors:
            os.close(descriptor)


def _tell_of_its_end(pid: int, answer: socket.socket) -> NoReturn:
    with contextlib.suppress(OSError):
        answer.send(str(pid).encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        answer.send(str(status).encode())
    os._exit(0)


def _become(given: int, *standard: int) -> None:
    """Make this process one that was started with these arguments, in that directory and environment."""
    size = os.fstat(given).st_size
    words, cwd, environ = json.loads(os.pread(given, size, 0))
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
    os.closerange(3, max(given, *standard) + 1)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv[1:] = words
    sys.path[:0] = [cwd, *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
    importlib.invalidate_caches()


def _import_commands() -> None:
    package = importlib.import_module(_MODULE)
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in _LEFT_OUT:
            importlib.import_module(f"{_MODULE}.{module.name}")
    for name in ("host", "runs.reader", "teamfile.load", "control.client"):
        importlib.import_module(f"subactors.runtime.{name}")


if __name__ == "__main__":
    if os.fork():
        os._exit(0)  # nobody's child is no process that a test comes across; it ends with the connection
    number = int(sys.argv[1])
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # Its own folder, and what it has got from the environment: a command gets its own.
    sys.path[:] = [path for path in sys.path[1:] if path not in known]
    _import_commands()
    gc.freeze()
    _serve(socket.socket(fileno=number))
    runpy.run_module(_MODULE, run_name="__main__", alter_sys=True)
