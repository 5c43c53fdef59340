"""Identity: `current_process()`, `parent_process()` and `authkey` of `multiprocessing` in an actor's process.

Imported when `multiprocessing` is, by the zygote or by an actor; nothing is computed before it is asked for, so that a
process in which nobody asks is the same as without.
"""

from __future__ import annotations

import os
from multiprocessing import process
from typing import Any, Final

from .channel import given_start, name_of_actor

__all__ = ["introduce"]

_authentication: Final[Any] = process.AuthenticationString  # type: ignore[attr-defined]  # the stub does not know it
_MAIN: Final = type(process.current_process())


class ActorMainProcess(_MAIN):  # type: ignore[misc, valid-type]  # the module deletes the name of its class
    """The process that an actor's code runs in; the zygote, until there is one. No daemon: it may have children."""

    _identity = ()
    _popen = None
    _closed = False
    _own: dict[str, Any] | None = None
    _own_name: str | None = None

    def __init__(self, parent: int) -> None:
        self._parent_pid = parent

    @property
    def _name(self) -> str:
        return self._own_name or name_of_actor() or "MainProcess"

    @_name.setter
    def _name(self, name: str) -> None:
        self._own_name = name

    @property
    def _config(self) -> dict[str, Any]:
        if self._own is not None:
            return self._own
        start = given_start()
        key = (start.authkey if start is not None else None) or os.urandom(_KEY)
        config = {"authkey": _authentication(key), "semprefix": "/mp"}
        if start is not None:  # not in the zygote: each of its children has its own
            self._own = config
        return config

    @_config.setter
    def _config(self, config: dict[str, Any]) -> None:
        self._own = config


_KEY: Final = 32
"""Bytes of a key that is made here, as in the standard library."""


class HostProcess(process._ParentProcess):  # type: ignore[misc, name-defined]  # noqa: SLF001 - there is no other
    """The host, as its actors see it. Its sentinel is a pidfd, opened when it is asked for."""

    def __init__(self, name: str, pid: int) -> None:
        super().__init__(name, pid, None)
        self._pidfd: int | None = None

    @property
    def _sentinel(self) -> int:
        if self._pidfd is None:
            self._pidfd = os.pidfd_open(self._pid)
        return self._pidfd

    @_sentinel.setter
    def _sentinel(self, _nothing: None) -> None:
        pass

    def is_alive(self) -> bool:
        """Whether the host runs. Without it this process is about to end."""
        try:
            return bool(super().is_alive())
        except ProcessLookupError:
            return False


def introduce(host_name: str, host_pid: int) -> None:
    """Tell `multiprocessing` who this process is, and who its parent."""
    process._current_process = ActorMainProcess(host_pid)  # type: ignore[attr-defined]  # noqa: SLF001 - private, since Python 2.6
    process._parent_process = HostProcess(host_name, host_pid)  # type: ignore[attr-defined]  # noqa: SLF001 - since 3.8
