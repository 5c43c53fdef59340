"""House: what a node has of a run: its folder there, the looks at what tasks use, what they leave in files.

It runs in the node's agent. The folder is like that of the run at home, so that a task finds there what it would find
at home (`runs/folder`).
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...actors import ErrorData, HousedProcess, IOThread, ProcessSystem
from ...actors.regular_files import is_folder, length_of, open_to_read
from ..runs.output import LONGEST_LOG, bound_log
from ..runs.workdir import worktree_folder
from ..runs.worktree_keeper import WorktreeKeeper
from ..tasks.views import Vitals
from ..team.config import Limits
from ..vitals.sampler import VitalsSampler, Watch
from .code_store import CodeStore
from .folder import NodeFolder, root_of
from .guard import Largest, MemoryGuard
from .memory import memory_of_this_machine
from .messages import (
    LOG_PIECE,
    LOG_SENT,
    CodeSent,
    CodeWanted,
    HoldLimits,
    Left,
    LimitReached,
    LogGrown,
    LookAt,
    Looked,
    NodeSetup,
    NotPreloaded,
    Seen,
    ToHouse,
)

if TYPE_CHECKING:
    from ..place.closely import CloseLooks

__all__ = ["NodeHouse"]

_TELL_EVERY: Final = 1.0
"""Seconds between two tales of what tasks use."""

_LOGS_SENT: Final = 1_000_000
"""Bytes of all logs that are sent each time: nothing else is to wait for them on a slow line."""

_orders: Final = msgspec.msgpack.Decoder(ToHouse)


class NodeHouse:
    """See the module, and `House` of `actors`."""

    def __init__(self) -> None:
        self._watched: dict[str, Watch] = {}
        self._processes: dict[str, HousedProcess] = {}
        self._limits: dict[str, Limits] = {}
        self._sampler = VitalsSampler(lambda: dict(self._watched))
        self._code = CodeStore()
        self._files: NodeFolder | None = None
        self._guard: MemoryGuard | None = None
        self._worktrees = WorktreeKeeper()
        self._io: IOThread | None = None
        self._tell: Callable[[msgspec.Struct], None] = lambda _: None
        self._tells = False
        self._told_of_logs: dict[str, int] = {}
        self._looks: CloseLooks | None = None

    @property
    def folder(self) -> str:
        """See `House`."""
        return str(self._run.path)

    def set_up(self, body: bytes, io: IOThread, tell: Callable[[msgspec.Struct], None], lease: float) -> ProcessSystem:
        """See `House`."""
        setup = msgspec.msgpack.decode(body, type=NodeSetup)
        self._io, self._tell = io, tell
        root = root_of(setup.folder)
        code = self._code.have(root, setup.code, lambda names: tell(CodeWanted(names)))
        self._files = NodeFolder.create(root, setup.run, code)
        self._guard = MemoryGuard(setup.keeps_free, largest=self._largest, tell=tell, call_later=io.call_later)
        folders = [str(folder) for folder in self._files.code]
        sys.path[:0] = folders
        arguments: dict[str, Any] = pickle.loads(setup.system)  # noqa: S301 - the host has proven that it is the host
        return ProcessSystem(**arguments, folders=folders, io=io, lease=lease, preload_failed=self._tell_of_failure)

    def _tell_of_failure(self, entry: str, error: ErrorData) -> None:
        self._tell(NotPreloaded(entry, error))

    def gone(self) -> str:
        """See `House`."""
        if is_folder(self.folder):
            return ""
        return (
            f"its folder {self.folder} is gone, in which it had the team's modules, logs and results: "
            "something has removed it"
        )

    def missing(self, directory: str) -> str:
        """See `House`."""
        if not directory or is_folder(directory):
            return ""
        return (
            f"there is no folder {directory} on this node, where a task with `workdir: shared` works: "
            "make it, name another with `workdir` of the place, or give the agent `workdir: private`"
        )

    def begun(self, process: HousedProcess) -> None:
        """See `House`."""
        self._processes[process.label] = process
        self._hold(process.label, self._limits.get(process.label, Limits()))

    def left(self, process: HousedProcess, done: Callable[[msgspec.Struct], None]) -> None:
        """See `House`."""
        task_id = process.label
        for known in (self._watched, self._processes, self._limits, self._told_of_logs):
            known.pop(task_id, None)
        if is_folder(worktree := worktree_folder(self._run.path, task_id)):
            self._worktrees.ended(worktree)
        if _length(self._log(task_id)) <= LONGEST_LOG:
            done(self._left(task_id))
            return
        # To cut it takes a while, for which others would have to wait.
        cutting = threading.Thread(target=lambda: done(self._left(task_id)), name="subactors-log", daemon=True)
        try:
            cutting.start()
        except RuntimeError:  # the machine has no room for a thread
            done(self._left(task_id))

    def _left(self, task_id: str) -> Left:
        log = self._log(task_id)
        bound_log(log)
        log_size = _length(log)
        return Left(
            log=_read(log, 0, LOG_SENT) if log_size <= LOG_SENT else b"",
            log_size=log_size,
            result_size=_length(self._run.result(task_id), -1),
            peak=self._sampler.take_peak(task_id),
        )

    def ordered(self, body: bytes) -> None:
        """See `House`."""
        order: ToHouse = _orders.decode(body)
        match order:
            case HoldLimits(task_id, limits):
                self._limits[task_id] = limits
                if task_id in self._processes:  # else it is about to be told that the process exists
                    self._hold(task_id, limits)
            case LookAt():
                self._look(order)
            case CodeSent(packed):
                self._code.take(packed)

    def _look(self, order: LookAt) -> None:
        """Look closely at a task, in a thread of its own."""
        if self._looks is None:
            from ..place.closely import CloseLooks  # noqa: PLC0415 - few tasks are silent

            self._looks = CloseLooks()
        self._looks.look(
            self._processes.get(order.task_id),
            self._log(order.task_id),
            lambda look: self._tell(Looked(order.number, look)),
            with_stack=order.with_stack,
            dump_at=order.dump_at,
        )

    def file(self, name: str) -> int | None:
        """See `House`: `log/ID` or `results/ID`."""
        kind, _, task_id = name.partition("/")
        if "/" in task_id or task_id.startswith("."):
            return None
        with contextlib.suppress(OSError):
            if kind == "log":
                return open_to_read(self._log(task_id))
            if kind == "results":
                return open_to_read(self._run.result(task_id))
        return None

    def give_up(self) -> None:
        """See `House`."""
        self._code.give_up()

    def close(self) -> None:
        """See `House`. The folder stays where a task has left something in a folder of its own."""
        self._sampler.close()
        if self._looks is not None:
            self._looks.close()
        self._worktrees.hurry_up()
        self._worktrees.close()
        if self._files is not None:
            self._files.close()

    @property
    def _run(self) -> NodeFolder:
        assert self._files is not None  # noqa: S101 - it is set up before anything else is asked
        return self._files

    def _log(self, task_id: str) -> str:
        return f"{self._run.log}/{task_id}.log"

    def _hold(self, task_id: str, limits: Limits) -> None:
        process = self._processes[task_id]
        self._watched[task_id] = Watch(
            lambda: process.pid,
            self._log(task_id),
            limits,
            lambda sentence: self._tell(LimitReached(process.host_key, sentence)),
        )
        self._sampler.task_started(limits)
        if not self._tells and self._guard is not None:
            self._tells = True
            self._tell_later()
            self._guard.look(lambda: self._tells)

    def _tell_later(self) -> None:
        if self._io is not None:
            self._io.call_later(_TELL_EVERY, self._tell_of_tasks)

    def _tell_of_tasks(self) -> None:
        """Say what tasks use and write, for as long as there are any. Runs in the I/O thread."""
        if not self._sampler.gets_on():
            self._sampler.mend()
        seen = {self._processes[task_id].host_key: vitals for task_id, vitals in self._latest().items()}
        self._tell(Seen(seen, memory_of_this_machine().available))
        for task_id in self._processes:
            self._tell_log(task_id, min(LOG_PIECE, _LOGS_SENT // len(self._processes)))
        self._tells = bool(self._watched)
        if self._tells:
            self._tell_later()

    def _latest(self) -> dict[str, Vitals]:
        """Return the last sample of each task, if there is one."""
        found = ((task_id, self._sampler.latest(task_id)) for task_id in self._processes)
        return {task_id: vitals for task_id, vitals in found if vitals is not None}

    def _largest(self) -> Largest | None:
        """Return the process of the task that uses most memory, and how much; None if none was looked at yet."""
        sizes = {task_id: vitals.memory_bytes for task_id, vitals in self._latest().items()}
        if not sizes:
            return None
        largest = max(sizes, key=lambda task_id: sizes[task_id])
        return Largest(self._processes[largest], sizes[largest])

    def _tell_log(self, task_id: str, most: int) -> None:
        """Send what a log has grown by, a piece at a time. One that was cut is sent anew."""
        log = self._log(task_id)
        length, told = _length(log), self._told_of_logs.get(task_id, 0)
        told = told if told <= length else 0
        if length > told and (data := _read(log, told, most)):
            self._tell(LogGrown(self._processes[task_id].host_key, told, data))
            self._told_of_logs[task_id] = told + len(data)


def _length(path: str, missing: int = 0) -> int:
    try:
        return length_of(path)
    except OSError:
        return missing


def _read(path: str, start: int, most: int) -> bytes:
    with contextlib.suppress(OSError):
        descriptor = open_to_read(path)
        try:
            return os.pread(descriptor, most, start)
        finally:
            os.close(descriptor)
    return b""
