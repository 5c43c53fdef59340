"""CPython: its private parts that host, zygote and children call, with their reasons and versions.

All are in CPython 3.11 to 3.13, unless it is said otherwise; "since" is the oldest version that was looked at. A test
calls each. Nothing else that they run uses a private name of the interpreter's own modules for a fork or an exit.

What a child calls is a name here, made ahead: to look a thing up by its module costs a new process a page or two.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed leaves it out
import atexit
import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final

__all__ = [
    "SHUTDOWN_LOCKS",
    "end_threads",
    "exit_function_of_multiprocessing",
    "forget_exit_functions",
    "forget_running_loop",
    "give_up_loop",
    "handlers_of_logging",
    "inheriting",
    "interpreter_flags",
    "is_being_imported",
    "run_exit_functions",
    "run_what_follows_a_fork",
    "set_signal_handler",
    "tracker_of_multiprocessing",
    "use_new_code",
]

set_signal_handler: Final[Callable[[int, int], object]] = _signal.signal
"""`_signal.signal`, since 3.6: `signal.signal` without the names that it looks up for numbers.

These lookups cost a new process more than the call. Takes the handlers SIG_DFL and SIG_IGN as numbers.
"""


SHUTDOWN_LOCKS: Final = "_shutdown_locks"
"""`threading._shutdown_locks`, 3.8 to 3.12: empty where there is no thread to wait for. Later that is not told.

A name, as each fork makes another set.
"""

end_threads: Final[Callable[[], None]] = threading._shutdown  # type: ignore[attr-defined]  # noqa: SLF001 - see below
"""`threading._shutdown`, since 3.6: waits for threads that are no daemons, and first has executors end theirs.

This and `run_exit_functions` are what the interpreter does at its end, but for taking itself apart, which is a copy of
every page. No public function does either alone.
"""

run_exit_functions: Final[Callable[[], None]] = atexit._run_exitfuncs  # noqa: SLF001 - see above
"""`atexit._run_exitfuncs`, since 3.6: calls what has been registered."""


def forget_exit_functions() -> None:
    """Drop what has been registered with `atexit`.

    `atexit._clear`, since 3.6. What the zygote's modules want done at their exit is not for each child to do, and
    `atexit.unregister` needs the functions, of which there is no list.
    """
    atexit._clear()  # noqa: SLF001 - see above


def exit_function_of_multiprocessing() -> Callable[[], None] | None:
    """Return what `multiprocessing` has registered with `atexit`; None where it is not imported.

    `multiprocessing.util._exit_function`, since 3.6. It has been dropped with the others, and an actor that uses
    `multiprocessing` needs it: it ends processes, and runs finalizers.
    """
    util = sys.modules.get("multiprocessing.util")
    return util._exit_function if util is not None else None  # noqa: SLF001 - see above


def handlers_of_logging() -> Iterator[logging.Handler | None]:
    """Yield all handlers that there are; None for one that is gone.

    `logging._handlerList`, since 3.6. `logging.shutdown` goes through it, which a child is spared where nothing is
    held back; `logging.getHandlerNames` knows those with a name only.
    """
    for handler in logging._handlerList:  # type: ignore[attr-defined]  # noqa: SLF001 - see above
        yield handler()


def interpreter_flags() -> list[str]:
    """Return the arguments that make another interpreter one like this: `-O`, `-W`, `-X` and so on.

    `subprocess._args_from_interpreter_flags`, since 3.2, with `-P` since 3.11: `multiprocessing` starts its processes
    with the same. Nothing public says it, and `sys.flags` and `sys.warnoptions` alone do not: some are said in both.
    """
    flags = []
    if sys.warnoptions or sys._xoptions or any(getattr(sys.flags, name) for name in _FLAGS):  # noqa: SLF001 - documented
        import subprocess  # noqa: PLC0415 - 10 ms, which most hosts do without

        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    if sys.dont_write_bytecode and not sys.flags.dont_write_bytecode:  # the program has set it
        flags.append("-B")
    return flags


_FLAGS: Final = (
    "bytes_warning",
    "debug",
    "dev_mode",
    "dont_write_bytecode",
    "ignore_environment",
    "isolated",
    "no_site",
    "no_user_site",
    "optimize",
    "quiet",
    "safe_path",
    "verbose",
)


def run_what_follows_a_fork() -> None:
    """Call what the interpreter calls in a new process, in one that is none: a rehearsal.

    `threading._after_fork`, since 3.6, and `logging._after_at_fork_child_reinit_locks`, since 3.7. The interpreter
    adapts code that has run a few times; adapted in the zygote, it need not be in each child, page by page.
    """
    threading._after_fork()  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    logging._after_at_fork_child_reinit_locks()  # type: ignore[attr-defined]  # noqa: SLF001 - the same


def use_new_code(functions: Iterable[FunctionType]) -> None:
    """Give functions a new code object each, equal to the one that they have.

    `function.__code__` may be replaced, which is documented. That a call writes to the code object is not: it counts
    its uses, and adapts its instructions in place, since 3.11. New objects that are made together are together.
    """
    for function in functions:
        function.__code__ = function.__code__.replace()


def is_being_imported(module: ModuleType) -> bool:
    """Tell whether a module is not whole yet.

    `module.__spec__._initializing`, since 3.7, which the import system sets. There is no public way to know.
    """
    return bool(getattr(module.__spec__, "_initializing", False))


# --- event loops that were interrupted while they ended -------------------------------------------------------------


def forget_running_loop() -> None:
    """Have no event loop run in this thread; such a one would still be the one that runs.

    `asyncio._set_running_loop`, documented for those who write event loops.
    """
    if (asyncio := sys.modules.get("asyncio")) is not None:
        asyncio._set_running_loop(None)  # noqa: SLF001 - see above


def give_up_loop(loop: Any) -> None:
    """Have an event loop let itself be closed, and say nothing about what it has not done.

    `BaseEventLoop._thread_id`: it believes that it runs. `Task._log_destroy_pending`: as asyncio has it for tasks that
    it gives up itself.
    """
    loop._thread_id = None  # noqa: SLF001 - see above
    for task in sys.modules["asyncio"].all_tasks(loop):
        task._log_destroy_pending = False  # noqa: SLF001 - see above


# --- `multiprocessing`, where it has been imported ------------------------------------------------------------------


def tracker_of_multiprocessing() -> Any:
    """Return what the functions of `multiprocessing.resource_tracker` are methods of; None where it is not imported.

    `resource_tracker._resource_tracker`, since 3.4; its `_fd` is the descriptor that leads to the tracker's process,
    None while there is none. Only that lets a process use the tracker of another.
    """
    return getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)


@contextlib.contextmanager
def inheriting() -> Iterator[None]:
    """Within this, what is unpickled or run is what this process is given, and processes must not be started.

    `current_process()._inheriting`, since 3.2, with which the start methods refuse, and say what a script lacks.
    """
    current = sys.modules["multiprocessing.process"].current_process()
    was_inheriting = getattr(current, "_inheriting", False)
    current._inheriting = True  # noqa: SLF001 - see above
    try:
        yield
    finally:
        if not was_inheriting:
            del current._inheriting  # noqa: SLF001 - see above
