"""The program that is a relay: `python -m subactors.runtime.nodes.relay_program`; see `relay`.

The host starts one for each node that it reaches with TLS, and the agent of such a node one (`relay_process`). Its
first line of input is JSON (`RelayBeginning`), and it answers with one (`RelaySaid`). It ends with its input, once
what it has taken is delivered.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from ...actors import IOThread
from .relay import Relay
from .relay_messages import RelayBeginning, RelaySaid, remove_socket
from .tls import TlsError, check_certificate, context_of, fingerprint, in_words

__all__ = ["main"]

_PATIENCE: Final = 8.0
"""Seconds that the node may take to answer the first connection."""

_NO_MESSAGE: Final = bytes(5)
"""What no agent takes for the beginning of a connection: a header, and nothing behind it."""

_END: Final = 3.0
"""Seconds that connections may take to end once the input has."""


def main() -> None:
    """Be a relay until whoever has started it is gone, or needs it no more."""
    Path("/proc/self/comm").write_text("subactors-relay")  # what `ps -o comm` and `top` show
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a host is the host's
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a task has two descriptors here
    output = os.dup(1)
    os.dup2(2, 1)  # so that nothing that is printed here is taken for an answer
    try:
        beginning = msgspec.json.decode(sys.stdin.buffer.readline(), type=RelayBeginning)
    except msgspec.MsgspecError:
        sys.exit("This program is started by a host of subactors, or by the agent of a node, which tell it what to do.")
    with socket.socket(fileno=beginning.listener) as listener:
        try:
            _serve(beginning, listener, output)
        except TlsError as error:
            _say(output, RelaySaid(problem=str(error)))
            sys.exit(1)
        finally:
            remove_socket(beginning.socket)


def _serve(beginning: RelayBeginning, listener: socket.socket, output: int) -> None:
    """Serve until the input ends. Raises TlsError."""
    context = context_of(beginning.files, serves=beginning.certificate is None)
    if beginning.certificate is not None:
        _try(beginning, context, beginning.certificate)
    io = IOThread("subactors-relay")
    listener.setblocking(False)
    relay = Relay(listener, beginning.to, context, certificate=beginning.certificate, io=io)
    io.call(relay.open)
    _say(output, RelaySaid(fingerprint(beginning.files)))
    sys.stdin.buffer.read()
    over = threading.Event()
    io.call(lambda: relay.close(over.set))
    over.wait(_END)
    io.close()


def _try(beginning: RelayBeginning, context: ssl.SSLContext, certificate: str) -> None:
    """See that the node is reached, is the one that is meant, and takes this end for one of the cluster's."""
    assert not isinstance(beginning.to, str)  # noqa: S101 - the node is elsewhere
    address, port = beginning.to
    try:
        with (
            socket.create_connection((address, port), timeout=_PATIENCE) as line,
            context.wrap_socket(line, suppress_ragged_eofs=False) as session,
        ):
            check_certificate(session, certificate)
            # The node sees this end's certificate only now. Its agent refuses what is no message, and closes, which is
            # the end of the line; where the certificate is refused, that is an error.
            session.sendall(_NO_MESSAGE)
            session.recv(1)
    except OSError as error:
        raise TlsError(f"TLS with {address}:{port} failed: {in_words(error)}") from error


def _say(output: int, said: RelaySaid) -> None:
    os.write(output, msgspec.json.encode(said) + b"\n")


if __name__ == "__main__":
    main()
