"""Lines with TLS whose ends a test plays: a relay at either end, and sockets of the test before and behind them."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from subactors.actors import Address
from subactors.runtime.nodes.relay_process import RelayProcess, unix_listener
from subactors.runtime.nodes.tls_files import TlsFiles

__all__ = ["PATIENCE", "Line", "everything", "in_thread", "new_socket", "opened", "refusal"]

PATIENCE = 30.0


class Line:
    """A line between this test and itself, which plays the host and what is behind the node's relay.

    Attributes:
        node: address of the node's relay.
        inner: what takes what comes through.
    """

    def __init__(self, inner: socket.socket, node: tuple[str, int], host: RelayProcess, path: str) -> None:
        self.inner, self.node, self.host, self.path = inner, node, host, path

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a connection: the host's, and the node's."""
        ours = socket.socket(socket.AF_UNIX)
        ours.settimeout(PATIENCE)
        ours.connect(self.path)
        theirs, _ = self.inner.accept()
        theirs.settimeout(PATIENCE)
        return ours, theirs


def new_socket() -> tuple[socket.socket, Path]:
    path = Path(tempfile.mkdtemp(prefix="subactors-")) / "line"
    return unix_listener(str(path)), path


@contextlib.contextmanager
def relay(
    files: TlsFiles, listener: socket.socket, to: Address, path: Path, certificate: str | None = None
) -> Iterator[RelayProcess]:
    process = RelayProcess(files, listener, to, path=path, certificate=certificate)
    try:
        yield process
    finally:
        process.close()
        process.wait()


@contextlib.contextmanager
def node_relay(files: TlsFiles) -> Iterator[tuple[socket.socket, tuple[str, int], str]]:
    """The node's end: what is behind it, where it takes connections, and which certificate it has."""
    outer = socket.create_server(("127.0.0.1", 0))
    address = outer.getsockname()
    inner, path = new_socket()
    with inner, relay(files, outer, str(path), path) as process:
        inner.settimeout(PATIENCE)
        said = process.hear()
        assert not said.problem
        yield inner, address, said.certificate


@contextlib.contextmanager
def opened(files: TlsFiles) -> Iterator[Line]:
    listener, path = new_socket()
    with (
        node_relay(files) as (inner, address, certificate),
        relay(files, listener, address, path, certificate) as host,
    ):
        refuse_one(inner)  # by which the host's relay sees that there is somebody
        assert not host.hear().problem
        yield Line(inner, address, host, str(path))


def everything(end: socket.socket) -> bytes:
    data = bytearray()
    with end:
        while piece := end.recv(1 << 16):
            data += piece
    return bytes(data)


def in_thread(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    return thread


def refuse_one(inner: socket.socket) -> None:
    with contextlib.suppress(OSError):
        inner.accept()[0].close()


def refusal(node_files: TlsFiles, host_files: TlsFiles, certificate: str = "") -> str:
    """Return why the host's relay does not begin; empty if it does."""
    listener, path = new_socket()
    with (
        node_relay(node_files) as (inner, address, shown),
        relay(host_files, listener, address, path, certificate or shown) as host,
    ):
        answers = in_thread(lambda: refuse_one(inner))
        problem = host.hear().problem
        with socket.socket(socket.AF_UNIX) as nobody:  # by whom the thread ends where the relay has not come
            nobody.connect(inner.getsockname())
        answers.join()
    return problem.partition(" failed: ")[2] or problem
