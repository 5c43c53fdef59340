"""Nodes by ssh: for each machine one ssh that is the node's agent, and one that its tasks' connections go through.

What the agent says comes by the first one's input and output, so that a flood of the tasks is not before it. Both ends
of the second are Unix sockets in folders of their users alone. All of it is ssh's to encrypt and to authenticate.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Final

from ...actors import environment
from ...actors.regular_files import exists, make, open_to_read
from ..errors import RequirementError
from ..team.places import SshPlace
from .launcher import NodeFound

__all__ = ["SshLauncher", "require"]

_PROGRAM: Final = "-m subactors.runtime.nodes.agent"

_OPTIONS: Final = (
    *("-o", "BatchMode=yes"),
    *("-o", "ServerAliveInterval=5"),
    *("-o", "ServerAliveCountMax=3"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "ControlMaster=no"),
    *("-o", "ControlPath=none"),
    *("-o", "ForwardAgent=no"),
    *("-o", "ForwardX11=no"),
)
"""That nobody is asked for a password, and that a line which is cut is noticed."""

_FORWARD: Final = (*("-o", "ExitOnForwardFailure=yes"), *("-o", "StreamLocalBindMask=0177"))

_WAIT: Final = "exec cat"
"""What runs beside what is forwarded, until its input ends. Without a command (`-N`) both ends of ssh keep small
messages back until those before are acknowledged, which is 40 ms for each start."""

_LOOK_EVERY: Final = 0.02
"""Seconds between looks at whether the way for tasks is there."""

_PATIENCE: Final = 20.0
"""Seconds in which that must be there."""

_AGAIN: Final = 5.0
_AGAIN_AT_MOST: Final = 60.0
"""Seconds until a machine that could not be had is tried again, the first time and later."""

_LASTED: Final = 20.0
_AT_ONCE: Final = 0.2
"""Seconds that an agent has lasted which is started anew at once, and until it is."""

_END: Final = 3.0
"""Seconds that ssh may take to end once the agent has been told to."""

_LAST_WORDS: Final = 4096
"""Bytes at the end of what ssh has written in which its last line is looked for."""

_PLAIN: Final = re.compile(r"[\w@%+=:,./~-]+", re.ASCII)


def require(place: SshPlace) -> None:
    """Raise RequirementError if there is no ssh here."""
    if shutil.which("ssh") is None:
        raise RequirementError(
            f"Place {place.name} is reached by ssh, and there is no program ssh here. Install OpenSSH's client."
        )


class SshLauncher:
    """See `Launcher`.

    Args:
        place: the machines.
        withheld: names of variables that ssh has no use for, and that others are not to see in it.
    """

    def __init__(self, place: SshPlace, withheld: Collection[str]) -> None:
        self._ssh = shutil.which("ssh") or "ssh"
        self._place = place
        self._withheld = frozenset(map(os.fsencode, withheld))
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._running: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="subactors-"))

    def begin(
        self,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str], None],
        trouble: Callable[[str, bool], None],
        drains: Callable[[str], None],
    ) -> None:
        """See `Launcher`; there is no trouble but that of each machine, and nobody says that one is about to go."""
        del trouble, drains
        for number, host in enumerate(self._place.hosts):
            thread = threading.Thread(
                target=lambda number=number, host=host: self._keep(number, host, found, lost),
                name=f"subactors-ssh-{number}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def release(self, name: str) -> None:
        """See `Launcher`."""
        with self._lock:
            for process in self._running.get(name, ()):
                process.terminate()

    def close(self) -> None:
        """See `Launcher`."""
        self._closing.set()
        until = time.monotonic() + _END
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        for host in self._place.hosts:
            self.release(host)
        for thread in self._threads:
            thread.join(_END)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(
        self,
        number: int,
        host: str,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str], None],
    ) -> None:
        """Have an agent on a machine, and another when that has ended, until all is closed."""
        pause = 0.0
        while not self._closing.wait(pause):
            began = time.monotonic()
            try:
                why = self._serve(number, host, found)
            except OSError as error:
                why = f"ssh cannot be started: {error.strerror or error}"
            if self._closing.is_set():
                return
            lost(host, why)
            # One that was there is wanted back at once; one that could not be had may need somebody's help.
            lasted = time.monotonic() - began > _LASTED
            pause = _AT_ONCE if lasted else min(max(_AGAIN, 2 * pause), _AGAIN_AT_MOST)

    def _serve(self, number: int, host: str, found: Callable[[NodeFound], None]) -> str:
        """Have one agent, from its start to its end; return why that came, as far as ssh or the agent has said so."""
        here = self._folder / f"{number}"
        here.unlink(missing_ok=True)
        there = f"/tmp/subactors-{os.urandom(8).hex()}/agent"  # noqa: S108 - the agent makes the folder, or refuses
        token = os.urandom(32)
        beginning = {"token": token.hex(), "listen": {"unix": there}, "control": "stdio"}
        errors = self._folder / f"{number}.err"
        pair = socket.socketpair()
        ours: socket.socket | None = pair[0]
        theirs = pair[1]
        with os.fdopen(make(errors), "wb") as stderr, theirs:
            agent = self._start(host, (), self._command(), stdin=theirs, stderr=stderr)
            way = self._start(host, (*_FORWARD, "-L", f"{here}:{there}"), _WAIT, stdin=subprocess.PIPE, stderr=stderr)
        with self._lock:
            self._running[host] = [agent, way]
            if self._closing.is_set():
                agent.terminate()
        try:
            pair[0].sendall(json.dumps(beginning).encode() + b"\n")
            if self._wait_for(here, agent, way):
                found(NodeFound(host, str(here), token, pair[0], "ssh"))
                ours = None  # it is somebody else's now
                self._wait_for_end(agent, way)
        except OSError:
            pass  # ssh has ended; it says why
        finally:
            if ours is not None:
                ours.close()
            if way.stdin is not None:
                way.stdin.close()
            for process in (agent, way):
                process.terminate()
                process.wait()
            with self._lock:
                del self._running[host]
        return _last_words(errors)

    def _command(self) -> str:
        python = self._place.python
        return f"exec {python if _PLAIN.fullmatch(python) else shlex.quote(python)} {_PROGRAM}"

    def _start(
        self, host: str, options: tuple[str, ...], command: str, *, stdin: socket.socket | int, stderr: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        given = [self._ssh, *_OPTIONS, *self._place.options, *options, "--", host, command]
        return subprocess.Popen(
            given,
            stdin=stdin.fileno() if isinstance(stdin, socket.socket) else stdin,
            stdout=stdin.fileno() if isinstance(stdin, socket.socket) else subprocess.DEVNULL,
            stderr=stderr,
            env=environment(self._withheld),
            start_new_session=True,
        )

    def _wait_for(self, socket_file: Path, *processes: subprocess.Popen[bytes]) -> bool:
        """Wait until the way for tasks is there; False if one of these has ended, or that takes too long."""
        until = time.monotonic() + _PATIENCE
        while not self._closing.wait(_LOOK_EVERY) and time.monotonic() < until:
            if any(process.poll() is not None for process in processes):
                return False
            if exists(socket_file):
                return True
        return False

    def _wait_for_end(self, agent: subprocess.Popen[bytes], way: subprocess.Popen[bytes]) -> None:
        """Wait until one of both has ended."""
        descriptors = [os.pidfd_open(process.pid) for process in (agent, way)]
        try:
            poll = select.poll()
            for descriptor in descriptors:
                poll.register(descriptor, select.POLLIN)
            poll.poll()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _last_words(errors: Path) -> str:
    """Return the last line that ssh, or the agent, has written to standard error."""
    with contextlib.suppress(OSError), os.fdopen(open_to_read(errors), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_WORDS))
        lines = file.read(_LAST_WORDS).decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip().rstrip(".") if lines else ""
    return ""
