"""Nodes by ssh: for each machine one ssh that is the node's agent, and one that its tasks' connections go through.

What the agent says comes by the first one's input and output, so that a flood of the tasks is not before it. Both ends
of the second are Unix sockets in folders of their users alone, here in that of the run. All of it is ssh's to encrypt
and to authenticate.
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
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from ...actors import environment
from ...actors.regular_files import Folder, exists
from ..errors import RequirementError, StateError
from ..team.places import SshPlace
from .greeting import Greeting
from .last_words import LastWords
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
"""Seconds between looks at whether the way for tasks is there, and the agent."""

_PATIENCE: Final = 30.0
"""Seconds in which that must be there, and the agent begin to speak."""

_AGAIN: Final = 1.0
_AGAIN_AT_MOST: Final = 60.0
"""Seconds until a machine that could not be had is tried again, the first time and later."""

_LASTED: Final = 20.0
_AT_ONCE: Final = 0.2
"""Seconds that an agent has lasted which is started anew at once, and until it is."""

_END: Final = 3.0
"""Seconds that ssh may take to end once the agent has been told to."""

_TERMINATED: Final = 0.5
"""Seconds that it may take when it is asked to; one that is stopped, or hangs, is killed then."""

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
        folder: for the sockets here; it is made, and removed by `close`.

    Raises:
        StateError: the folder cannot be made.
    """

    def __init__(self, place: SshPlace, withheld: Collection[str], folder: Path) -> None:
        self._ssh = shutil.which("ssh") or "ssh"
        self._place = place
        self._withheld = frozenset(map(os.fsencode, withheld))
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._running: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._released: dict[str, int] = {}
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True)
            self._held = Folder(folder).hold()
        except OSError as error:
            raise StateError(f"The folder {folder} cannot be made: {error.strerror or error}.") from error

    def begin(
        self,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str, bool], None],
        trouble: Callable[[str, bool], None],
        drains: Callable[[str], None],
        coming: Callable[[str], None],
    ) -> None:
        """See `Launcher`; there is no trouble but that of each machine, and nobody says that one is about to go."""
        del trouble, drains, coming
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
            if name in self._released:
                os.eventfd_write(self._released[name], 1)

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
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._folder.parent.rmdir()  # that of the last place

    def _keep(
        self,
        number: int,
        host: str,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str, bool], None],
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
            lost(host, why, bool(why))
            # One that was there is wanted back at once; one that could not be had may need somebody's help.
            lasted = time.monotonic() - began > _LASTED
            pause = _AT_ONCE if lasted else min(max(_AGAIN, 2 * pause), _AGAIN_AT_MOST)

    def _serve(self, number: int, host: str, found: Callable[[NodeFound], None]) -> str:
        """Have one agent, from its start to its end; return why that came, as far as ssh or the agent has said so."""
        (self._folder / f"{number}").unlink(missing_ok=True)
        there = f"/tmp/subactors-{os.urandom(8).hex()}/agent"  # noqa: S108 - the agent makes the folder, or refuses
        token = os.urandom(32)
        beginning = {"token": token.hex(), "listen": {"unix": there}, "control": "stdio"}
        # By the descriptor of the folder it is short enough for a socket, and has nothing in it that ssh would expand.
        here = f"fd/{self._held.descriptor}/{number}"
        options = (*_FORWARD, "-L", f"/proc/{os.getpid()}/{here}:{there}")
        words = LastWords()
        with contextlib.ExitStack() as ending:
            ending.callback(words.close)
            released = ending.enter_context(self._told_of_release(host))
            ours, theirs = socket.socketpair()
            ending.callback(ours.close)
            greeting = Greeting(ours)
            with theirs:
                agent = self._start(host, (), self._command(), (theirs.fileno(), theirs.fileno()), words)
                ending.enter_context(self._ended(host, agent))
            way = self._start(host, options, _WAIT, (subprocess.PIPE, subprocess.DEVNULL), words)
            ending.enter_context(self._ended(host, way))
            words.begin()
            with contextlib.suppress(OSError):  # ssh has ended; it says why
                ours.sendall(json.dumps(beginning).encode() + b"\n")
                if self._wait_for(self._folder / f"{number}", greeting, words, agent, way):
                    # What is handed over is somebody else's to close.
                    found(NodeFound(host, f"/proc/self/{here}", token, ours.dup(), "ssh"))
                    ours.close()
                    _wait_for_end(words, released, agent, way)
            if greeting.has_come():
                return words.last_line()
            return (greeting.is_late and greeting.complaint()) or words.first_and_last_line() or greeting.complaint()

    @contextlib.contextmanager
    def _told_of_release(self, host: str) -> Iterator[int]:
        """Give a descriptor that is ready once `release` is called: a process that is stopped does not end by that."""
        descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        with self._lock:
            self._released[host] = descriptor
        try:
            yield descriptor
        finally:
            with self._lock:
                del self._released[host]
            os.close(descriptor)

    @contextlib.contextmanager
    def _ended(self, host: str, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Have a process that `release` can end, and that has ended afterwards."""
        with self._lock:
            self._running.setdefault(host, []).append(process)
            if self._closing.is_set():
                process.terminate()
        try:
            yield
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.terminate()
            try:
                process.wait(_TERMINATED)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            with self._lock:
                self._running[host].remove(process)

    def _command(self) -> str:
        python = self._place.python
        return f"exec {python if _PLAIN.fullmatch(python) else shlex.quote(python)} {_PROGRAM}"

    def _start(
        self, host: str, options: tuple[str, ...], command: str, streams: tuple[int, int], words: LastWords
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._ssh, *_OPTIONS, *self._place.options, *options, "--", host, command],
            stdin=streams[0],
            stdout=streams[1],
            stderr=words.writing,
            env=environment(self._withheld),
            start_new_session=True,
        )

    def _wait_for(
        self, socket_file: Path, greeting: Greeting, words: LastWords, *processes: subprocess.Popen[bytes]
    ) -> bool:
        """Wait for the way for tasks, and the agent's greeting; False if one of these has ended, or it takes too long.

        What comes before the greeting is skipped; too much of it is taken for no agent.
        """
        until = time.monotonic() + _PATIENCE
        while not self._closing.wait(_LOOK_EVERY) and time.monotonic() < until:
            words.take()
            if greeting.is_late or any(process.poll() is not None for process in processes):
                return False
            if greeting.has_come() and exists(socket_file):
                return True
        return False


def _wait_for_end(words: LastWords, released: int, *processes: subprocess.Popen[bytes]) -> None:
    """Wait until one of these has ended, or all are released, and take what they write meanwhile."""
    poll = select.poll()
    poll.register(words.reading, select.POLLIN)
    poll.register(released, select.POLLIN)
    with contextlib.ExitStack() as closing:
        descriptors = {released}
        for process in processes:
            descriptor = os.pidfd_open(process.pid)
            closing.callback(os.close, descriptor)
            poll.register(descriptor, select.POLLIN)
            descriptors.add(descriptor)
        while not descriptors.intersection(ready for ready, _ in poll.poll()):
            if not words.take():
                poll.unregister(words.reading)
