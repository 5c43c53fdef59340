"""The program that is a node's agent: `python -m subactors.runtime.nodes.agent`. People do not start it; a host does.

Its first line of input is JSON (`_Beginning`): never an argument nor a variable, which every process there could read.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from ...actors import NodeAgent, Pipes, Terms, check_platform, open_standard_descriptors
from .tls_files import TlsFiles

if TYPE_CHECKING:
    from .relay_messages import RelaySaid
    from .relay_process import RelayProcess

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
    listener = _listener(beginning)
    answer: dict[str, object] = {"address": listener.getsockname()[:2]}
    relay = None
    if beginning.tls is not None:
        relay, listener, said = _relay(listener, beginning.tls)
        answer |= msgspec.to_builtins(said)
    reading, writing = os.dup(0), os.dup(1)
    _leave_standard_streams()
    control = None
    if beginning.control == "stdio":
        control = Pipes(reading, writing)
    else:
        os.write(writing, msgspec.json.encode(answer) + b"\n")
        os.close(reading)
        os.close(writing)
    if answer.get("problem"):
        sys.exit(1)
    from .house import NodeHouse  # noqa: PLC0415 - after whoever started it has heard where it listens

    NodeAgent(Terms(bytes.fromhex(beginning.token), listener, control, beginning.starter), NodeHouse()).serve()
    if relay is not None:
        relay.close()  # it delivers the last words, and ends
    if "unix" in beginning.listen:
        path = Path(msgspec.json.decode(beginning.listen["unix"], type=str))
        path.unlink(missing_ok=True)
        path.parent.rmdir()


def _first_line() -> bytes:
    """Return the first line of the input, and take no byte behind it, which may be the host's first message."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte or len(line) > _LONGEST:
            sys.exit("This program is started by a host of subactors, which tells it what to do.")
        line += byte
    return line


def _listener(beginning: _Beginning) -> socket.socket:
    """Return what connections come to. Only this user can reach a Unix socket, as its folder is new."""
    if "unix" in beginning.listen:
        path = Path(msgspec.json.decode(beginning.listen["unix"], type=str))
        path.parent.mkdir(mode=0o700)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
    else:
        address, port = msgspec.json.decode(beginning.listen["tcp"], type=tuple[str, int])
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        listener.bind((address, port))
    listener.listen(1024)
    return listener


def _relay(outer: socket.socket, files: TlsFiles) -> tuple[RelayProcess, socket.socket, RelaySaid]:
    """Have a relay take connections with TLS; return it, where they go on to, and what it says of itself."""
    from .relay_process import RelayProcess, unix_listener  # noqa: PLC0415 - most nodes have none

    path = Path(tempfile.mkdtemp(prefix="subactors-")) / "agent"
    inner = unix_listener(str(path))
    relay = RelayProcess(files, outer, str(path), path=path)
    return relay, inner, relay.hear()


def _leave_standard_streams() -> None:
    """Have nothing that is printed here get to the host as a message."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)


if __name__ == "__main__":
    main()
