"""The program that is a node's agent: `python -m subactors.runtime.nodes.agent`. People do not start it; a host does.

Its first line of input is JSON (`_Beginning`): never an argument nor a variable, which every process there could read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from ...actors import NodeAgent, Pipes, Terms, check_platform, open_standard_descriptors
from .greeting import GREETING
from .left_sockets import remove_left_sockets
from .tls_files import TlsFiles

__all__ = ["main"]

_LONGEST: Final = 65536
"""Bytes of the first line."""


class _Beginning(msgspec.Struct, frozen=True):
    """What the agent is told first.

    Attributes:
        token: what host and agent know, in hexadecimal.
        listen: where it takes connections.
        control: whether its input and output go on as the connection to the host, or that comes by what it listens to.
        starter: process of this machine whose end ends it.
        tls: what connections are to be encrypted with; None: they are not, or by whoever listens.
    """

    token: str
    listen: dict[Literal["tcp", "unix"], msgspec.Raw]
    control: Literal["stdio", "listen"]
    starter: int | None = None
    tls: TlsFiles | None = None


def main() -> None:
    """Be the agent until the host is gone."""
    open_standard_descriptors()
    check_platform()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a host on this machine is that host's
    beginning = msgspec.json.decode(_first_line(), type=_Beginning)
    with _listener(beginning) as outer, _taking(outer, beginning.tls) as (listener, answer):
        _serve(beginning, listener, answer)


def _serve(beginning: _Beginning, listener: socket.socket, answer: dict[str, object]) -> None:
    reading, writing = os.dup(0), os.dup(1)
    _leave_standard_streams()
    control = None
    if beginning.control == "stdio":
        os.write(writing, GREETING)
        control = Pipes(reading, writing)
    else:
        os.write(writing, msgspec.json.encode(answer) + b"\n")
        os.close(reading)
        os.close(writing)
    if answer.get("problem"):
        sys.exit(1)
    from .house import NodeHouse  # noqa: PLC0415 - after whoever started it has heard where it listens

    NodeAgent(Terms(bytes.fromhex(beginning.token), listener, control, beginning.starter), NodeHouse()).serve()


def _first_line() -> bytes:
    """Return the first line of the input, and take no byte behind it, which may be the host's first message."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte or len(line) > _LONGEST:
            sys.exit("This program is started by a host of subactors, which tells it what to do.")
        line += byte
    return line


@contextlib.contextmanager
def _listener(beginning: _Beginning) -> Iterator[socket.socket]:
    """Give what connections come to. Only this user can reach a Unix socket, as its folder is new; it is gone after."""
    with contextlib.ExitStack() as undoing:
        if "unix" in beginning.listen:
            path = Path(msgspec.json.decode(beginning.listen["unix"], type=str))
            path.parent.mkdir(mode=0o700)
            undoing.callback(path.parent.rmdir)
            remove_left_sockets(path.parent)
            listener = undoing.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            undoing.callback(path.unlink, missing_ok=True)
        else:
            address, port = msgspec.json.decode(beginning.listen["tcp"], type=tuple[str, int])
            listener = undoing.enter_context(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
            listener.bind((address, port))
        listener.listen(1024)
        yield listener


@contextlib.contextmanager
def _taking(outer: socket.socket, files: TlsFiles | None) -> Iterator[tuple[socket.socket, dict[str, object]]]:
    """Give where the agent takes connections, and what is said of that to whoever has started it.

    With TLS that is a socket behind a relay, which takes what comes from outside, and ends when the block is left.
    """
    answer: dict[str, object] = {"address": outer.getsockname()[:2]}
    if files is None:
        yield outer, answer
        return
    from .relay_process import RelayProcess, unix_listener  # noqa: PLC0415 - most nodes have none

    path = Path(tempfile.mkdtemp(prefix="subactors-")) / "agent"
    with unix_listener(str(path)) as inner:
        relay = RelayProcess(files, outer, str(path), path=path)
        try:
            yield inner, answer | msgspec.to_builtins(relay.hear())
        finally:
            relay.close()  # it delivers the last words, and ends


def _leave_standard_streams() -> None:
    """Have nothing that is printed here get to the host as a message."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)


if __name__ == "__main__":
    main()
