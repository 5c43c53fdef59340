"""How processes of actors become processes of `multiprocessing`, and what that asks of them behind their methods.

Imported with the first process system. It must never import `multiprocessing`: most hosts do without.
"""

from __future__ import annotations

import sys
import weakref
from types import ModuleType
from typing import Final, Protocol

from ..late_import import when_imported
from .as_process import AsProcess

__all__ = ["host_name", "meet"]


class _Processes(Protocol):
    """The processes of a system."""

    def appear(self) -> None:
        """Have the processes of actors be among the host's children."""


_known: Final[weakref.WeakSet[_Processes]] = weakref.WeakSet()


def meet(processes: _Processes) -> None:
    """See to it that the processes of a system are among those of `multiprocessing`, once that is imported."""
    is_first = not _known
    _known.add(processes)
    if is_first:
        when_imported("process", _join)


def _join(module: ModuleType) -> None:
    be_processes(module)
    for processes in list(_known):
        processes.appear()


def be_processes(module: ModuleType) -> None:
    """Make processes of actors a kind of those of `multiprocessing`, which has been imported.

    Their own class comes first in all that both have; what the other adds is that `isinstance` says so.
    """
    if module.BaseProcess not in AsProcess.__bases__:
        AsProcess.__bases__ = (*AsProcess.__bases__, module.BaseProcess)


def host_name() -> str:
    """Return what `multiprocessing` calls this process."""
    current = getattr(sys.modules.get("multiprocessing.process"), "current_process", None)
    return str(current().name) if current is not None else "MainProcess"
