"""An actor's process as one of `multiprocessing`: what `multiprocessing.Process` has; in `active_children()`, too.

That module is not imported for it: when the host does, `AsProcess` becomes a subclass of its `BaseProcess`
(`in_multiprocessing`). Nothing here waits, but `join`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from time import monotonic
from typing import Any, Final, NoReturn

from pykka.messages import ProxyGetAttr

from ..interrupts import LONGEST_SLEEP
from .forked_process import ForkedProcess

__all__ = ["AsProcess"]

_NOTHING: Final = ProxyGetAttr(attr_path=("actor_urn",))
"""A message that changes nothing, and that no actor is shown."""


class AsProcess(ForkedProcess):
    """A process of an actor as one of `multiprocessing`. Every method may be called from any thread but the I/O thread.

    `daemon` is True, so that the host's exit does not wait for it: its system stops it then. In the actor's own process
    `multiprocessing.current_process().daemon` is False, so that the actor can have processes of its own.

    `pid`, `ident` and `exitcode` raise ValueError once the object is closed, as does all that asks for the process.
    """

    # What BaseProcess keeps for itself.
    _identity = ()
    _closed = False
    _own_name: str | None = None
    _sentinel_descriptor: int | None = None

    _ended: threading.Event
    """Is set right after the end is known."""

    @property
    def name(self) -> str:
        """The actor's name, as `multiprocessing.current_process().name` in its process; another one once it is set.

        A name that is set is this object's alone: as in `multiprocessing`, the process is not told of it.
        """
        return self._own_name or str(self)

    @name.setter
    def name(self, name: str) -> None:
        assert isinstance(name, str), "name must be a string"  # noqa: S101 - as multiprocessing does
        self._own_name = name

    @property
    def daemon(self) -> bool:
        """True; to set it is refused, as it is for any process that has been started."""
        return True

    @daemon.setter
    def daemon(self, _daemonic: bool) -> NoReturn:
        raise AssertionError("process has already started")

    @property
    def pid(self) -> int | None:
        """The process id; None until the process is forked."""
        self._check_open()
        return self._pid

    @property
    def ident(self) -> int | None:
        """The process id; None until the process is forked."""
        return self.pid

    @property
    def exitcode(self) -> int | None:
        """Exit status, or minus the number of the signal that ended it; 255 if nobody knows; None while it runs."""
        self._check_open()
        return None if self.end is None else self.end.exitcode

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the process has ended, for `multiprocessing.connection.wait`.

        Made when it is first asked for, and closed with this object, or by `close`.
        """
        with self._lock:
            self._check_open()
            if self._sentinel_descriptor is None:
                self._sentinel_descriptor = os.eventfd(0 if self.end is None else 1)
                self._close_sentinel = weakref.finalize(self, os.close, self._sentinel_descriptor)
            return self._sentinel_descriptor

    @property
    def authkey(self) -> bytes:
        """The host's."""
        from multiprocessing.process import current_process  # noqa: PLC0415 - rarely asked for

        return current_process().authkey

    def is_alive(self) -> bool:
        """Whether the process, or the end of it, is still to come."""
        self._check_open()
        return self.end is None

    def join(self, timeout: float | None = None) -> None:
        """Wait until the process has ended, with all that it had started; for no longer than `timeout` seconds."""
        self._check_open()
        assert self._parent_pid == os.getpid(), "can only join a child process"  # noqa: S101 - as multiprocessing does
        deadline = None if timeout is None else monotonic() + timeout
        while self.end is None:
            remaining = LONGEST_SLEEP if deadline is None else min(LONGEST_SLEEP, deadline - monotonic())
            if remaining <= 0:
                break
            self._ended.wait(remaining)

    def terminate(self) -> None:
        """Send SIGTERM, which ends an actor without its `on_stop`; `stop` of its reference is the polite way."""
        self._check_open()
        self.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._check_open()
        self.send_signal(signal.SIGINT)
        # CPython does not see a signal that comes between its last look for one and a wait for a lock, as the actor's
        # for a message, before that wait is over.
        self.tell(_NOTHING)

    def tell(self, message: object) -> None:
        """Put a message in the actor's mailbox."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the sentinel; nothing but its name and `end` can be asked of this object then.

        Raises:
            ValueError: the process has not ended.
        """
        if self.end is None:
            raise ValueError("Cannot close a process while it is still running. Stop it, or wait for it with join().")
        with self._lock:
            self._closed = True
            if self._sentinel_descriptor is not None:
                self._close_sentinel()

    def start(self) -> NoReturn:
        """Raise: an actor's process is started by its actor's class."""
        raise AssertionError("cannot start a process twice")

    def run(self) -> NoReturn:
        """Raise: what runs in the process is the actor."""
        raise NotImplementedError("An actor's process runs its actor.")

    def __repr__(self) -> str:
        """Return what `multiprocessing` shows of a process."""
        if self._closed:
            return f"<{type(self).__name__} name={self.name!r} parent={self._parent_pid} closed daemon>"
        state = "started" if self.end is None else f"stopped exitcode={self.end.exitcode}"
        return f"<{type(self).__name__} name={self.name!r} pid={self._pid} parent={self._parent_pid} {state} daemon>"

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("process object is closed")

    @property
    def _parent_pid(self) -> int:
        return self._io.owner

    @property
    def _name(self) -> str:
        return self.name

    @property
    def _config(self) -> dict[str, Any]:
        return {"authkey": self.authkey, "daemon": True}

    @property
    def _popen(self) -> object:
        from .actor_popen import ActorPopen  # noqa: PLC0415 - only `multiprocessing` asks for it

        return ActorPopen(self)

    def appear(self) -> None:
        """Be among the host's children, if the host has imported what knows of such."""
        if (children := _children()) is not None:
            children.add(self)

    def _disappear(self) -> None:
        """Be no more; called when the end is known."""
        with self._lock:
            if self._sentinel_descriptor is not None and not self._closed:
                os.eventfd_write(self._sentinel_descriptor, 1)
        self._leave_children()

    def _leave_children(self) -> None:
        if (children := _children()) is not None:
            children.discard(self)


def _children() -> set[Any] | None:
    """Return what `multiprocessing` takes for the host's children; None where that is not imported."""
    return getattr(sys.modules.get("multiprocessing.process"), "_children", None)
