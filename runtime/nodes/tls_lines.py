"""TLS lines: has a relay of this machine for each node of a Ray cluster whose line is to be encrypted; see `relay`.

A node is found once its relay has seen that it is the one that is meant, and that it takes this host. A relay that ends
takes all connections of its node with it, and so the node is lost.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from ...actors import environment
from .launcher import NodeFound
from .relay_process import RelayProcess, unix_listener
from .tls_files import TlsFiles

__all__ = ["TlsLines"]

_SOCKET: Final = "line"

_END: Final = 4.0
"""Seconds that relays may take to end; a little more than they give themselves."""


class TlsLines:
    """See the module. Its methods are for any thread; what is called is called in others.

    Args:
        files: what this end shows, and holds the nodes to.
        withheld: names of variables that relays have no use for.
        folder: for their sockets; it is made when the first is, and removed by `close_all`.
    """

    def __init__(self, files: TlsFiles, withheld: Collection[str], folder: Path) -> None:
        self._files = files
        self._withheld = frozenset(map(os.fsencode, withheld))
        self._folder = folder
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._closing = False
        self._running: list[tuple[str, RelayProcess]] = []
        self._threads: set[threading.Thread] = set()

    def open(
        self,
        node: NodeFound,
        certificate: str,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str], None],
    ) -> None:
        """Have a relay to a node.

        Args:
            node: as it has been found, with the address where its own relay takes connections.
            certificate: which that must show.
            found: is called with the node as it can be connected to.
            lost: is called with its name, and why it cannot be had, or no more, as a clause.
        """
        thread = threading.Thread(
            target=self._keep, args=(node, certificate, found, lost), name=f"subactors-tls-{node.name}", daemon=True
        )
        with self._lock:
            if self._closing:
                return
            self._threads.add(thread)
        thread.start()

    def close(self, name: str) -> None:
        """The host has given a node up, or needs it no more."""
        with self._lock:
            relays = [relay for of, relay in self._running if of == name]
        for relay in relays:
            relay.close()

    def close_all(self) -> None:
        """End all of them, once they have delivered what they have. Bounded; waits."""
        with self._lock:
            self._closing = True
            running, threads = list(self._running), list(self._threads)
        for _, relay in running:
            relay.close()
        for thread in threads:
            thread.join(_END)
        with self._lock:
            for _, relay in self._running:
                relay.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._folder.parent.rmdir()  # that of the last place

    # --- in a thread for each ---------------------------------------------------------------------------------------

    def _keep(
        self,
        node: NodeFound,
        certificate: str,
        found: Callable[[NodeFound], None],
        lost: Callable[[str, str], None],
    ) -> None:
        """Have a relay to a node from its start to its end."""
        try:
            why = self._serve(node, certificate, found)
        except OSError as error:
            why = f"the relay of its TLS cannot be started: {error.strerror or error}"
        with self._lock:
            self._threads.discard(threading.current_thread())
            if self._closing:
                return
        if why:
            lost(node.name, why)

    def _serve(self, node: NodeFound, certificate: str, found: Callable[[NodeFound], None]) -> str:
        """Have a relay; return why there is none any more, empty if the host has wanted that."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(mode=0o700, parents=True)
        held = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return self._serve_in(folder, f"/proc/self/fd/{held}/{_SOCKET}", node, certificate, found)
        finally:
            os.close(held)

    def _serve_in(
        self, folder: Path, address: str, node: NodeFound, certificate: str, found: Callable[[NodeFound], None]
    ) -> str:
        """The same, by a socket in a folder, whose own path may be too long for one."""
        relay = RelayProcess(
            self._files,
            unix_listener(address),
            node.address,
            path=folder / _SOCKET,
            certificate=certificate,
            environ=environment(self._withheld),
            stderr=subprocess.DEVNULL,
        )
        with self._lock:
            self._running.append((node.name, relay))
            if self._closing:
                relay.close()
        said = relay.hear()
        if not said.problem:
            found(node._replace(address=address, line="TLS", behind=node.address))
        status = relay.wait()
        with self._lock:
            self._running.remove((node.name, relay))
        if said.problem or not status:
            return said.problem
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return f"the relay of its TLS on this machine {how}"
