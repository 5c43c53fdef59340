"""Relay process: starts a relay, at either end of a line with TLS, and hears whether it is one; see `relay_program`."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from ...actors import Address
from .relay_messages import RelayBeginning, RelaySaid, remove_socket
from .tls_files import TlsFiles

__all__ = ["RelayProcess", "unix_listener"]

_PROGRAM: Final = "subactors.runtime.nodes.relay_program"

_PATIENCE: Final = 20.0
"""Seconds that a relay may take to say whether it is one; it gives itself less for all that it waits for."""


def unix_listener(path: str) -> socket.socket:
    """Return what takes connections of this user."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o600)  # noqa: PTH101 - it may be by a descriptor's name
    listener.listen(1024)
    return listener


class RelayProcess:
    """See the module. It ends soon after `close`, or after this process.

    Args:
        files: what its end shows, and holds the other to.
        listener: what connections come to; closed here.
        to: where each goes on.
        path: of the one of both that is a Unix socket, alone in its folder; the relay removes both at its end.
        certificate: which the node must show, at the host's end; None: this is the node's end.
        environ: of the relay; None: that of this process.
        stderr: as of `subprocess`; None: that of this process.

    Raises:
        OSError: it could not be started.
    """

    def __init__(
        self,
        files: TlsFiles,
        listener: socket.socket,
        to: Address,
        *,
        path: Path,
        certificate: str | None = None,
        environ: dict[bytes, bytes] | None = None,
        stderr: int | None = None,
    ) -> None:
        with listener, contextlib.ExitStack() as failing:
            failing.callback(remove_socket, str(path))
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environ,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
                bufsize=0,
            )
            failing.pop_all()
            self._write(
                msgspec.json.encode(RelayBeginning(files, listener.fileno(), to, str(path), certificate)) + b"\n"
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def hear(self) -> RelaySaid:
        """Return what it says of itself. Waits for it, but not for ever."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        line = self._process.stdout.readline() if poll.poll(_PATIENCE * 1000) else b""
        try:
            return msgspec.json.decode(line, type=RelaySaid)
        except msgspec.MsgspecError:
            self.kill()
            return RelaySaid(problem="the relay of its TLS did not begin")

    def close(self) -> None:
        """Have it end once it has delivered what it has taken. In any thread; returns at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once. In any thread."""
        self._process.kill()

    def wait(self) -> int:
        """Wait until it has ended; return its status, which is negative for a signal."""
        with self._process:
            return self._process.wait()

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError):  # it has ended, which is heard
            self._process.stdin.write(line)
