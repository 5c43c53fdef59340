"""A `multiprocessing` context whose processes are forked by the zygote: `get_context()`.

Whatever takes a context, as `concurrent.futures.ProcessPoolExecutor` does, gets with it starts in milliseconds, no fork
of a host with threads, no second run of the main script where nothing of it is used, and nothing that is left when the
host dies.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import process, resource_tracker, spawn, util
from multiprocessing.context import BaseContext
from typing import Any, ClassVar, Final

from ..host.beginning import current_directory
from ..host.default import default_system
from ..host.popen import Popen
from ..host.system import ProcessSystem
from ..wire.inheritance import Spawning, check_number, pickled

__all__ = ["Process", "ZygoteContext", "get_context"]


_systems: Final[weakref.WeakValueDictionary[int, ProcessSystem]] = weakref.WeakValueDictionary()
_numbers: Final = itertools.count(1)


class Process(process.BaseProcess):
    """A process of the context; see `multiprocessing.Process`.

    `start` returns when the process has been forked, and raises `StartError` if it cannot be. `sentinel` is a pidfd.
    The process ends with the host, however that ends, and what it has started ends with it, daemons included.
    """

    # None leaves the child's default start method what it is here. Any other name would have to be known there, and in
    # each process that the child starts with `spawn`.
    _start_method: ClassVar[str | None] = None
    _subactors_system: ClassVar[int] = 0  # a number, as a class may travel by value, and a system cannot

    @staticmethod
    def _Popen(process_obj: process.BaseProcess) -> Popen:  # noqa: N802 - the name that multiprocessing calls
        return _launch(process_obj)

    def interrupt(self) -> None:
        """Send SIGINT; part of `multiprocessing` since Python 3.14."""
        self._check_closed()  # type: ignore[attr-defined]  # the stub does not know it
        self._popen.interrupt()  # type: ignore[attr-defined]  # the same

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Let the class that a context has made for its system arrive as the class that it stands for."""
        if "_subactors_is_made" in type(self).__dict__:
            return _new_process, (), self.__dict__
        return super().__reduce_ex__(protocol)


def _new_process() -> Process:
    return Process.__new__(Process)


def _launch(process_obj: process.BaseProcess) -> Popen:
    from .main_script import main_script  # noqa: PLC0415 - it reads sources, which the zygote does not

    util._flush_std_streams()  # type: ignore[attr-defined]  # noqa: SLF001 - as each start method does
    system = _systems.get(getattr(process_obj, "_subactors_system", 0)) or default_system()
    current_directory()  # where there is none, that is told in a sentence, before anybody else looks for it
    spawning = Spawning()
    tracker = resource_tracker.getfd()
    assert tracker is not None  # noqa: S101 - it has been started
    spawning.duplicate_for_child(tracker)
    preparation = spawn.get_preparation_data(process_obj.name)
    # The first two every process of the zygote is given.
    for name in ("sys_path", "dir", "init_main_from_name", "init_main_from_path"):
        preparation.pop(name, None)
    script = main_script()
    preparation["main"] = (script.module, script.path)
    by_value: dict[str, Any] = {}  # filled while what comes before it is pickled
    data = pickled(preparation, spawning) + pickled((process_obj, by_value), spawning, script.has, by_value)
    check_number(spawning)
    popen: Popen = system.launch(data, spawning.descriptors)
    popen.wait_until_forked()
    return popen


class ZygoteContext(BaseContext):
    """A context for all that takes one; see the module, and `multiprocessing.get_context` for what a context has.

    Making one starts nothing; the first process starts the zygote, and the resource tracker of `multiprocessing`.

    Args:
        system: whose zygote forks the processes; None for the one that `ProcessActor.start` uses, too.
    """

    _name = "zygote"
    Process: ClassVar[type[Process]] = Process

    def __init__(self, system: ProcessSystem | None = None) -> None:
        self._system = system
        if system is not None:
            # An attribute of the class, so that subclasses have it.
            number = next(_numbers)
            _systems[number] = system
            names = {"_subactors_system": number, "_subactors_is_made": True, "__module__": Process.__module__}
            self.Process = type("Process", (Process,), names)  # type: ignore[misc]  # this context's own

    def get_context(self, method: str | None = None) -> Any:
        """Return this context, or that of another start method."""
        return self if method in {None, self._name} else super().get_context(method)

    def Pool(  # noqa: N802 - the name that it has in each context
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> Any:
        """Return a pool of processes; a task that its workers could not find raises what says so."""
        from .pool import Pool  # noqa: PLC0415 - rarely needed, and `multiprocessing` does so, too

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def set_forkserver_preload(self, module_names: Sequence[str]) -> None:
        """Have the zygote import modules, for all processes to share; without effect once it has been started."""
        (self._system or default_system()).preload(module_names)


_default: Final = ZygoteContext()


def get_context(system: ProcessSystem | None = None) -> ZygoteContext:
    """Return a context whose processes the zygote forks.

    Args:
        system: whose zygote; None for the one that `ProcessActor.start` uses, too. Closing it ends the processes.
    """
    return _default if system is None else ZygoteContext(system)
