"""Watcher: keeps a model of all runs of a state folder up to date, for as long as anybody looks at it.

One thread looks for runs; each living host has a thread that waits for what changes there. When nobody looks they rest,
so hosts are asked nothing. Looking leaves no trace: nothing counts as read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import msgspec

from ..control.client import ControlClient
from ..control.other_hosts import PATIENCE
from ..control.wire import Face
from ..errors import RuntimeClosedError, StateError, SubactorsError
from ..runs.facts import Facts
from ..runs.folder import RunFiles, host_pid, is_live, runs, time_of_start
from ..runs.reader import JournalReader
from ..tasks.views import iso_time
from ..tasks.watching import LONGEST_WORDS, WatchTasks, first_words, row_of
from .model import Model, RunSeen

__all__ = ["Watcher"]

logger = logging.getLogger("subactors.runtime")

_SCOUT: Final = 1.0
"""Seconds between two looks for new runs."""

_WAIT: Final = 3.0
"""Seconds that a host is asked to wait for something to change; one that hangs is known for that soon after."""

_AGAIN: Final = (0.05, 0.1, 0.2, 0.5)
_LATER: Final = 1.0
"""Seconds until a host is asked again that did not answer: it may just be starting; and later."""

_FORMER: Final = 2000
"""Tasks of earlier runs that are read, the newest, more or less."""

_MOST_HOSTS: Final = 200
"""Living hosts that are watched at a time."""

_WARNINGS: Final = 200
"""Sentences about what could not be read that are kept."""


class Watcher:
    """See the module; to be closed. Any thread may call every method.

    Attributes:
        model: what is known.

    Args:
        root: the state folder.
        changed: see `Model`.
        face: where the person is who looks.
        only: the name of the only run that is wanted; None: all.
    """

    def __init__(
        self,
        root: Path,
        changed: Callable[[], None] = lambda: None,
        *,
        face: Face = "dashboard",
        only: str | None = None,
    ) -> None:
        self.model = Model(changed)
        self._warnings: list[str] = []  # about what could not be read, the latest
        self._warned = 0  # how many there have been
        self._root, self._face, self._only = root, face, only
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._due = threading.Event()
        self._closed = threading.Event()
        self._lookers = 0
        self._wants_former = only is not None
        self._found_once = threading.Event()
        self._hosts: dict[str, _HostThread] = {}
        self._read: set[str] = set()
        self._former: set[str] = set()  # no host of them comes back
        self._scout = threading.Thread(target=self._look_for_runs, name="subactors-watcher", daemon=True)
        self._scout.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def looking(self, *, former: bool = False) -> Iterator[Model]:
        """Keep the model up to date inside of the block.

        Args:
            former: whether runs are wanted, too, whose hosts were gone before.
        """
        self.begin(former=former)
        try:
            self.wait_for_first_look()
            yield self.model
        finally:
            self.end()

    def begin(self, *, former: bool = False) -> None:
        """Somebody looks, until `end`; see `looking`. Waits for nothing."""
        with self._lock:
            self._lookers += 1
            if former and not self._wants_former:
                self._wants_former = True
                self._found_once.clear()
            if self._lookers == 1:
                self._found_once.clear()
                self._wanted.set()
            self._due.set()

    def wait_for_first_look(self) -> None:
        """Wait until all runs have been looked at once, 2 seconds at most."""
        self._found_once.wait(PATIENCE)

    def end(self) -> None:
        """Somebody looks no more."""
        with self._lock:
            self._lookers -= 1
            if self._lookers:
                return
            self._wanted.clear()
            hosts = [*self._hosts.values()]
        for host in hosts:
            host.hang_up()

    def close(self) -> None:
        """End the threads, and wait for them."""
        with self._lock:
            self._closed.set()
            self._wanted.set()
            self._due.set()
            hosts = [*self._hosts.values()]
        for host in hosts:
            host.hang_up()
        self._scout.join()
        for host in hosts:
            host.join()

    def warnings_after(self, count: int) -> tuple[int, list[str]]:
        """Return how many sentences there have been, and those after the first so many, as far as they are kept."""
        with self._lock:
            new = self._warned - count
            return self._warned, self._warnings[-new:] if new > 0 else []

    # --- in the thread that looks for runs --------------------------------------------------------------------------

    def _look_for_runs(self) -> None:
        while True:
            self._wanted.wait()
            self._due.clear()
            if self._closed.is_set():
                return
            try:
                self._find()
            except StateError as error:
                self._warn(str(error))
            except Exception:
                logger.exception("A look for runs in %s failed, and is made again.", self._root)
            self._found_once.set()
            self._due.wait(_SCOUT)

    def _find(self) -> None:
        paths = {path.name: path for path in runs(self._root) if self._only in (None, path.name)}
        for run in self.model.runs():
            if run.id not in paths:
                self.model.drop_run(run.id)
                self._read.discard(run.id)
        with self._lock:
            self._hosts = {name: host for name, host in self._hosts.items() if name in paths or host.is_alive()}
        begun = [self._look_at(path) for name, path in paths.items() if name not in self._read]
        if self._wants_former:
            self._read_former(paths)
        deadline = time.monotonic() + PATIENCE / 2
        for first in filter(None, begun):
            first.wait(max(0.0, deadline - time.monotonic()))

    def _look_at(self, path: Path) -> threading.Event | None:
        """Have a host watched that lives, or read the journal of one that has gone."""
        thread = self._hosts.get(path.name)
        if path.name in self._former or (thread is not None and thread.is_alive()):
            return None
        if is_live(path):
            if sum(each.is_alive() for each in self._hosts.values()) < _MOST_HOSTS:
                return self._begin(path, thread)
            self._warn(f"More than {_MOST_HOSTS} hosts live; the others are shown when one of them has ended.")
            return None
        if thread is not None or self.model.run(path.name) is not None:
            self._hosts.pop(path.name, None)
            self._read_journal(path, live=False)
        else:
            self._former.add(path.name)
        return None

    def _begin(self, path: Path, before: _HostThread | None) -> threading.Event | None:
        """Have a host watched."""
        if self.model.run(path.name) is None:
            self.model.put_run(_run(path, live=True))
        thread = _HostThread(self, path, before.cursor if before is not None else "")
        with self._lock:
            if self._closed.is_set() or not self._wanted.is_set():
                return None
            self._hosts[path.name] = thread
            thread.start()
        return thread.has_answered

    def _read_former(self, paths: dict[str, Path]) -> None:
        count = 0
        for name, path in reversed(paths.items()):
            if count >= _FORMER or self._closed.is_set():
                return
            if name in self._former and self.model.run(name) is None:
                self.model.put_run(msgspec.structs.replace(_run(path, live=False), is_former=self._only is None))
                count += self._read_journal(path, live=False)

    def _read_journal(self, path: Path, *, live: bool) -> int:
        """Take what a run's journal says; return how many tasks it has."""
        if _is_own(path):
            return 0
        rows, ended = [], None
        try:
            with JournalReader(RunFiles(path).journal, live=live) as reader:
                answers = reader.answers(LONGEST_WORDS)
                rows = [row_of(view, first_words(answers.get(view.id, ""))) for view in reader.tasks()]
                ended = None if live else iso_time(reader.died())
                for damage in reader.damaged:
                    self._warn(damage)
        except (sqlite3.Error, OSError, ValueError) as error:
            self._warn(f"The journal of {path.name} cannot be read: {error}.")
        self.model.take_journal(path.name, rows, live=live)
        run = self.model.run(path.name)
        if run is not None and not live:
            self._read.add(path.name)
            self.model.put_run(
                msgspec.structs.replace(run, live=False, host_pid=None, ended_at=ended, running=0, warning="")
            )
        return len(rows)

    def _warn(self, sentence: str) -> None:
        with self._lock:
            if sentence not in self._warnings:
                self._warnings = [*self._warnings, sentence][-_WARNINGS:]
                self._warned += 1

    # --- in the thread of a host ------------------------------------------------------------------------------------

    def is_wanted(self) -> bool:
        """Whether anybody looks."""
        return self._wanted.is_set() and not self._closed.is_set()

    def client(self, path: Path) -> ControlClient:
        """Return a connection to the host of a run; raises OSError if it does not answer."""
        return ControlClient(RunFiles(path).control, PATIENCE, self._face)

    def rest(self, seconds: float) -> None:
        """Wait before a host is asked again; not for what else is due, which is no reason to ask that one."""
        self._closed.wait(seconds)

    def is_gone(self) -> None:
        """A host has gone: have its journal read at once."""
        self._due.set()

    def does_not_answer(self, path: Path) -> None:
        """Take what the journal says of a host that lives and does not answer."""
        self._read_journal(path, live=True)
        run = self.model.run(path.name)
        if run is not None:
            warning = f"The host of {path.name} does not answer; what is shown of it is what its journal says."
            self.model.put_run(msgspec.structs.replace(run, warning=warning))


class _HostThread(threading.Thread):
    """Waits for what changes in one host, as long as anybody looks and it lives.

    Attributes:
        cursor: the place behind what it has told.
        has_answered: is set when it has told something, or cannot be asked.
    """

    def __init__(self, watcher: Watcher, path: Path, cursor: str) -> None:
        super().__init__(name=f"subactors-watch-{path.name}", daemon=True)
        self.cursor = cursor
        self.has_answered = threading.Event()
        self._watcher = watcher
        self._path = path
        self._client: ControlClient | None = None
        self._pauses = iter(_AGAIN)

    def hang_up(self) -> None:
        """Wait for nothing any more; from any thread."""
        client = self._client
        if client is not None:
            client.hang_up()

    def run(self) -> None:
        """See the class."""
        watcher = self._watcher
        try:
            while watcher.is_wanted() and is_live(self._path):
                hangs = False
                try:
                    with watcher.client(self._path) as self._client:
                        self._follow(self._client)
                except (OSError, RuntimeClosedError) as error:
                    hangs = isinstance(error, TimeoutError)
                    logger.debug("The host of %s: %s", self._path.name, error)
                except (SubactorsError, ValueError) as error:
                    self.cursor = ""
                    logger.debug("The host of %s: %s", self._path.name, error)
                finally:
                    self._client = None
                if not (watcher.is_wanted() and is_live(self._path)):
                    break
                pause = next(self._pauses, None)
                if pause is None or hangs:
                    self.cursor = ""  # what the journal says takes the place of what the host has told
                    watcher.does_not_answer(self._path)
                    self.has_answered.set()
                watcher.rest(pause or _LATER)
        finally:
            self.has_answered.set()
            watcher.is_gone()

    def _follow(self, client: ControlClient) -> None:
        while self._watcher.is_wanted():
            asked = WatchTasks(self.cursor, _WAIT, samples=not self.cursor)
            changes = client.ask(asked, (_WAIT if self.cursor else 0.0) + PATIENCE)
            self._watcher.model.merge(self._path.name, changes)
            self.cursor = changes.cursor
            self._pauses = iter(_AGAIN)
            self.has_answered.set()


def _run(path: Path, *, live: bool) -> RunSeen:
    """Return a run as its folder and its journal tell."""
    started = time_of_start(path)
    facts = Facts()
    if not _is_own(path):
        with contextlib.suppress(sqlite3.Error, TypeError), JournalReader(RunFiles(path).journal, live=live) as reader:
            facts = Facts.of_journal(reader.facts())
    return RunSeen(
        id=path.name,
        path=str(path),
        live=live,
        host_pid=host_pid(path) if live else None,
        started_at=iso_time(started) if started else None,
        command=str(facts.command),
        team=str(facts.team_file or facts.team),
        working_dir=str(facts.working_dir),
    )


def _is_own(path: Path) -> bool:
    """Whether this process is the host of a run: who opens and closes its journal here takes the locks on it away."""
    return host_pid(path) == os.getpid() and is_live(path)
