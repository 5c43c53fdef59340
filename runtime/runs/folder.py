"""The state folder: where runs keep what must outlive them, and how one tells a run that lives from one that died.

    STATE/                      mode 0700; `state_dir`, $SUBACTORS_STATE_DIR, or subactors in the XDG state folder
    ├── run_20260101T120000_1a2b3c4d/
    │   ├── lock                held (flock) by the host for as long as it lives; its process id
    │   ├── journal.sqlite      what happened
    │   ├── control.sock        for `ps`, `view` and `stop` from another terminal
    │   ├── output/             what tasks said
    │   ├── results/            results that were too large to be sent, and those of groups, where there are any
    │   ├── work/               folders of agents with `workdir: private`, where there are any
    │   ├── continuing/         who continues which of its tasks (`claims`), where somebody did
    │   ├── lines/              sockets of lines to nodes that are reached by ssh or with TLS, while there are any
    │   └── log/                what their processes wrote to standard output and error
    └── worktrees/              of agents with `workdir: worktree`, by run and task (`workdir`), while there are any

A run whose lock can be taken has no host: the kernel releases a lock however its holder ends. While a folder is made
or removed its name begins with a dot, so that one that can be seen is whole.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from ...actors.regular_files import Folder, exists, make, open_to_read
from ..errors import StateError
from .forks import close_when_forked

__all__ = [
    "RunFiles",
    "RunFolder",
    "host_pid",
    "is_live",
    "last_sign_of_life",
    "remove_leftovers",
    "runs",
    "state_root",
    "time_of_start",
]

logger = logging.getLogger("subactors.runtime")

_PREFIX: Final = "run_"
_TIME: Final = "%Y%m%dT%H%M%S"

_LEFT_OVER_AFTER: Final = 3600.0
"""Seconds after which a folder that is still being made, or removed, is one that nobody will finish."""

_LOCK_PAUSE: Final = 0.002
"""Seconds between tries to lock a folder that somebody else has locked: for milliseconds, while it is put in order."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def state_root(state_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return the state folder: the one given, or the user's own."""
    if state_dir is not None:
        return Path(state_dir).absolute()
    if chosen := os.environ.get("SUBACTORS_STATE_DIR"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "subactors"


def runs(root: Path) -> list[Path]:
    """Return the folders of all runs in a state folder, the oldest first; none if there is no such folder.

    Raises:
        StateError: it cannot be read.
    """
    return list(_folders(root, _PREFIX))


class RunFiles:
    """Files of a run's folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path / "journal.sqlite"

    @property
    def output(self) -> Path:
        """The folder of what tasks said."""
        return self.path / "output"

    @property
    def log(self) -> Path:
        """The folder of what tasks' processes wrote."""
        return self.path / "log"

    @property
    def work(self) -> Path:
        """The folder of the tasks' own folders; made when the first is."""
        return self.path / "work"

    @property
    def continuing(self) -> Path:
        """The folder of what says which of its tasks somebody continues; made when the first is."""
        return self.path / "continuing"

    @property
    def lines(self) -> Path:
        """The folder of sockets that lead to nodes; made when the first is, and gone with the last."""
        return self.path / "lines"

    @property
    def results(self) -> Path:
        """The folder of results that were too large to be sent; made when the first is."""
        return self.path / "results"

    def result(self, task_id: str) -> str:
        """The file for a task's result."""
        return f"{self.results}/{task_id}.json"

    def items(self, task_id: str) -> str:
        """The file for the items and results of a group."""
        return f"{self.results}/{task_id}.jsonl"

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.path / "control.sock"

    @property
    def settled(self) -> Path:
        """Marker file: the host is gone and every task in the journal has an end."""
        return self.path / "settled"


class RunFolder(RunFiles):
    """One run's folder, locked for as long as this object is open. Processes forked meanwhile do not hold the locks.

    A host locks the file `lock`, which says that it lives, and the folder itself, which says that nobody else changes
    what is in it. Who puts in order what a dead host has left has the second only: nobody takes it for the host.

    Attributes:
        outputs: the folder of what tasks said, held while the lock of a run that was made here is.

    Args:
        path: the folder; it exists.
        locks: descriptors that hold its locks.
    """

    def __init__(self, path: Path, locks: list[int]) -> None:
        super().__init__(path)
        self._locks = locks
        self.outputs = Folder(self.output)
        close_when_forked(self)

    @classmethod
    def create(cls, root: Path) -> Self:
        """Make and lock the folder of a new run.

        Raises:
            StateError: it cannot be made; the message says where and why.
        """
        name = f"{_PREFIX}{time.strftime(_TIME, time.gmtime())}_{os.urandom(4).hex()}"
        path = root / name
        making = root / f".{name}"
        locks: list[int] = []
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _keep_others_out(root)
            making.mkdir(mode=0o700)
            (making / "output").mkdir(mode=0o700)
            (making / "log").mkdir(mode=0o700)
            locks.append(make(making / "lock"))
            os.write(locks[0], str(os.getpid()).encode())
            locks.append(os.open(making, _FOLDER))
            for lock in locks:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            making.rename(path)
            created = cls(path, locks)
            created.outputs.hold()
        except OSError as error:
            for lock in locks:
                os.close(lock)
            shutil.rmtree(making, ignore_errors=True)
            raise StateError(
                f"The state folder {root} cannot be used: {error.strerror or error} ({error.filename or path}). "
                "Make it writable, or choose another with state_dir, --state-dir or SUBACTORS_STATE_DIR."
            ) from error
        return created

    @classmethod
    def take_over(cls, path: Path, patience: float = 0.0) -> Self | None:
        """Lock the folder of a run whose host is gone.

        None if its host lives, if somebody else has it locked, or if it has been removed.

        Args:
            path: the folder.
            patience: seconds to wait for somebody else who has it locked.
        """
        if is_live(path):
            return None
        try:
            lock = os.open(path, _FOLDER)
        except OSError:
            return None
        try:
            _lock(lock, time.monotonic() + patience)
            # It may have been removed since, or moved on the way to that.
            if os.path.samestat(os.fstat(lock), os.lstat(path)):
                return cls(path, [lock])
        except OSError:
            pass
        os.close(lock)
        return None

    def release(self) -> None:
        """Let go of the folder; it stays. May be repeated."""
        for lock in self._locks:
            # A process that is just being started, and has not come to its program yet, holds this descriptor, too.
            fcntl.flock(lock, fcntl.LOCK_UN)
        self.close_descriptors()

    def close_descriptors(self) -> None:
        """See `Holder`: in a forked process closing descriptors leaves the locks to the host, as they share them."""
        self.outputs.close()
        locks, self._locks = self._locks, []
        for lock in locks:
            os.close(lock)

    def remove(self) -> None:
        """Remove the folder with all that is in it, and let go of it."""
        hidden = self.path.with_name(f".{self.path.name}")
        with contextlib.suppress(OSError):
            self.path.rename(hidden)
        with contextlib.suppress(RecursionError):  # of folders that are nested too deeply: they stay
            shutil.rmtree(hidden if exists(hidden) else self.path, ignore_errors=True)
        self.release()


def _lock(descriptor: int, deadline: float) -> None:
    """Lock a folder; raises BlockingIOError where somebody else still has it locked at the deadline (monotonic)."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOCK_PAUSE)
        else:
            return


def is_live(path: Path) -> bool:
    """Whether a run's host lives."""
    try:
        lock = open_to_read(path / "lock")
    except OSError:
        return False
    try:
        # Shared, so that those who look do not see each other.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(lock)
    return False


def host_pid(path: Path) -> int | None:
    """Return the process id of a run's host, which may be gone; None if it is not noted."""
    try:
        lock = open_to_read(path / "lock")
        try:
            return int(os.pread(lock, 20, 0))
        finally:
            os.close(lock)
    except (OSError, ValueError):
        return None


def last_sign_of_life(path: Path) -> float:
    """Return when a run was last heard of, as far as its files tell without the journal, in seconds since the epoch."""
    latest = time_of_start(path)
    for folder in (path / "output", path / "log", RunFiles(path).continuing):
        with contextlib.suppress(OSError), Folder(folder) as held, os.scandir(held.descriptor) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    latest = max(latest, entry.stat(follow_symlinks=False).st_mtime)
    return latest


def time_of_start(path: Path) -> float:
    """Return when a run started, by its folder's name, in seconds since the epoch; 0 if that does not say."""
    # Not strptime, which imports, and this runs in a thread beside which the host may fork.
    try:
        return datetime.fromisoformat(path.name.split("_")[1]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def remove_leftovers(root: Path) -> None:
    """Remove folders whose making or removing was cut short; raises StateError as `runs` does."""
    for path in _folders(root, f".{_PREFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - os.lstat(path).st_mtime > _LEFT_OVER_AFTER:
                shutil.rmtree(path, ignore_errors=True)


def _folders(root: Path, prefix: str) -> Iterator[Path]:
    try:
        # Not what a link leads to, which may be anybody's.
        with os.scandir(root) as entries:
            names = [e.name for e in entries if e.name.startswith(prefix) and e.is_dir(follow_symlinks=False)]
        yield from (root / name for name in sorted(names))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(
            f"The state folder {root} cannot be read: {error.strerror or error}. "
            "Choose another with state_dir, --state-dir or SUBACTORS_STATE_DIR."
        ) from error


def _keep_others_out(root: Path) -> None:
    """Take the right to write from others where that is ours to do.

    In a sticky folder, such as /tmp, others cannot replace what is ours; what they put there is left alone.

    Raises:
        OSError: others can put anything in the place of anything in it, and it is not ours to change.
    """
    status = root.stat()  # a link to the folder is the user's own choice
    if status.st_uid not in {os.geteuid(), 0}:
        raise PermissionError(errno.EPERM, "it belongs to another user, who could replace what is in it", str(root))
    mode = stat.S_IMODE(status.st_mode)
    if not mode & _OTHERS_WRITE or mode & stat.S_ISVTX:
        return
    if status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "others may write to it, and could replace what is in it", str(root))
    root.chmod(mode & ~_OTHERS_WRITE)
    logger.warning(
        "Others could write to the state folder %s, and now cannot: its mode is %o.", root, root.stat().st_mode & 0o7777
    )
