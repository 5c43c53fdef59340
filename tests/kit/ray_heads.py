"""Something that answers as the head of a Ray cluster does at first, and no further. No Ray is needed."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Final

from subactors.runtime.nodes.tls import context_of
from subactors.runtime.nodes.tls_files import TlsFiles

__all__ = ["head"]

_SETTINGS: Final = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""The first frame of a server of HTTP/2."""


@contextlib.contextmanager
def head(files: TlsFiles | None) -> Iterator[str]:
    """What listens as the head of a cluster, with TLS or without: it says its settings, and reads."""
    context = context_of(files, serves=True) if files is not None else None
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connected, _ = listener.accept()
                    with contextlib.suppress(OSError), connected:
                        answer(connected)

        def answer(connected: socket.socket) -> None:
            with context.wrap_socket(connected, server_side=True) if context is not None else connected as channel:
                channel.sendall(_SETTINGS)
                while channel.recv(4096):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
