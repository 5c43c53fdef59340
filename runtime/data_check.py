"""Data checks: whether data is what an entrypoint takes, before a process starts for it.

Code that this process has is asked here. A module that is the team file's own is never imported here: a process that
ends right after looks. It takes as long as a task, and only where a program gives data. No more of these processes run
at a time than tasks may.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..actors import ProcessSystem
from .child.data_check import DataCheck
from .tasks.decoding import NotOfTypeError
from .tasks.entrypoint_data import data_arguments, data_parameter
from .tasks.messages import CheckData, DataChecked
from .team.config import Team
from .team.function_by_value import Function, GivenFunction

if TYPE_CHECKING:
    from ..actors import ActorProcess, ProcessExit, Timer
    from .tasks.gateway import ReplyTo

__all__ = ["DataChecks"]

_PATIENCE: Final = 30.0
"""Seconds that the process may take; a module may be slow to import. After that the task itself finds out."""

_DECODER: Final = msgspec.msgpack.Decoder(DataChecked)


class DataChecks:
    """See the module. Every method may be called from any thread.

    Args:
        system: starts the processes.
        team: the agents.
        call: has a function called soon, in a thread where a process may be started; in the I/O thread none may be.
    """

    def __init__(self, system: ProcessSystem, team: Team, call: Callable[[Callable[[], object]], object]) -> None:
        self._system = system
        self._team = team
        self._call = call
        self._take_any: set[str] = set()
        self._lock = threading.Lock()
        self._waiting: deque[tuple[CheckData, ReplyTo]] = deque()
        self._at_work = 0

    def wanted(self, agent: str, data: str | None) -> CheckData | None:
        """Check data here, if that is possible; return what is to be asked of another process, if it is not.

        Raises:
            NotOfTypeError: the data is not what the agent's entrypoint takes.
            TypeError: there is none, and it cannot be called without.
        """
        config = self._team.agents.get(agent)
        entrypoint = config.entrypoint if config is not None else None
        if not entrypoint or agent in self._take_any:
            return None
        function = self._known(entrypoint)
        if function is not None:
            if data_parameter(function) is None:
                self._take_any.add(agent)
            data_arguments(function, data, f"the entrypoint of agent {agent!r}")
            return None
        return CheckData(agent, data) if data is not None else None

    def _known(self, entrypoint: Function) -> Callable[..., Any] | None:
        if isinstance(entrypoint, str):
            return _imported(entrypoint, self._team.folders)
        # A team that was itself unpickled here has no function. Its pickle is never opened in this process.
        return entrypoint.function if isinstance(entrypoint, GivenFunction) else None

    def check(self, request: CheckData, reply_to: ReplyTo) -> None:
        """Have a process look, as soon as there is room for it; returns at once."""
        with self._lock:
            self._waiting.append((request, reply_to))
        self._fill()

    def _fill(self) -> None:
        while (following := self._next()) is not None:
            request, reply_to = following
            try:
                self._start(request, reply_to)
            except Exception:  # noqa: BLE001 - closed meanwhile, or out of descriptors: the task itself will tell
                self._ended()
                reply_to.set(DataChecked())

    def _next(self) -> tuple[CheckData, ReplyTo] | None:
        with self._lock:
            if not self._waiting or self._at_work >= self._team.settings.max_running:
                return None
            self._at_work += 1
            return self._waiting.popleft()

    def _ended(self) -> None:
        with self._lock:
            self._at_work -= 1

    def _start(self, request: CheckData, reply_to: ReplyTo) -> None:
        entrypoint = self._team.agents[request.agent].entrypoint
        listener = _Listener(lambda checked: self._settle(request.agent, checked, reply_to))
        process = self._system.spawn(
            DataCheck, (entrypoint, request.agent, request.data), listener=listener, capture=os.devnull
        )
        listener.patience = self._system.call_later(_PATIENCE, process.kill)

    def _settle(self, agent: str, checked: DataChecked, reply_to: ReplyTo) -> None:
        self._ended()
        if checked.takes_any:
            self._take_any.add(agent)
        if self._waiting:
            self._call(self._fill)
        if checked.fault:
            reply_to.set_exception(NotOfTypeError(checked.fault))
        else:
            reply_to.set(checked)


class _Listener:
    """Hears what a check has found. Runs in the I/O thread."""

    patience: Timer | None = None

    def __init__(self, settle: Callable[[DataChecked], None]) -> None:
        self._settle = settle
        self._found = DataChecked()

    def process_ready(self, process: ActorProcess) -> None:
        """Nothing to do."""

    def process_output(self, process: ActorProcess, data: bytes) -> None:
        """Nobody keeps what the module prints."""

    def process_report(self, process: ActorProcess, body: bytes) -> None:
        """Take what was found."""
        try:
            self._found = _DECODER.decode(body)
        except msgspec.MsgspecError:
            process.kill()
        process.handled()

    def process_request(self, process: ActorProcess, request_id: int, body: bytes) -> None:
        """Nothing is asked; what asks is not the check."""
        del request_id, body
        process.kill()
        process.handled()

    def process_finished(self, process: ActorProcess) -> None:
        """Nothing to do: the exit follows."""

    def process_ended(self, process: ActorProcess, end: ProcessExit) -> None:
        """Tell what was found; of one that broke off nothing, as the task itself will break off, too."""
        del process, end
        if self.patience is not None:
            self.patience.cancel()
        self._settle(self._found)


def _imported(target: str, folders: tuple[str, ...]) -> Callable[..., Any] | None:
    """Return a function whose module this process has imported before; None if a task would take another, or none."""
    name, _, function = target.partition(":")
    found: Any = sys.modules.get(name)
    top = name.partition(".")[0]
    if found is None or name == "__main__":
        return None
    ours = importlib.machinery.PathFinder.find_spec(top, [*folders]) if folders else None
    if ours is not None and ours.origin != getattr(sys.modules.get(top), "__file__", None):
        return None
    for part in function.split("."):
        found = getattr(found, part, None)
    return found if callable(found) else None
