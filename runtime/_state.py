"""The state folder: where runs keep what must outlive them, and how one tells a run that lives from one that died.

    STATE/                      mode 0700; `state_dir`, $SUBACTORS_STATE_DIR, or subactors in the XDG state folder
    └── run_20260101T120000_1a2b3c4d/
        ├── lock                held (flock) by the host for as long as it lives
        ├── journal.sqlite      what happened
        ├── control.sock        for `ps`, `view` and `stop` from another terminal
        ├── output/             what tasks said
        └── log/                what their processes wrote to standard output and error

A folder whose lock can be taken has no host: the kernel releases a lock however its holder ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from ._errors import StateError

__all__ = ["RunFolder", "is_live", "runs", "state_root"]

_PREFIX: Final = "run_"


def state_root(state_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return the state folder: the one given, or the user's own."""
    if state_dir is not None:
        return Path(state_dir).absolute()
    if chosen := os.environ.get("SUBACTORS_STATE_DIR"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "subactors"


def runs(root: Path) -> Iterator[Path]:
    """Yield the folders of all runs in a state folder, the oldest first."""
    with contextlib.suppress(FileNotFoundError):
        yield from sorted(path for path in root.iterdir() if path.name.startswith(_PREFIX) and path.is_dir())


class RunFolder:
    """One run's folder, locked for as long as this object is open.

    Args:
        path: the folder; it exists.
        lock: descriptor of its lock, held.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

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
    def control(self) -> Path:
        """The control socket."""
        return self.path / "control.sock"

    @classmethod
    def create(cls, root: Path) -> Self:
        """Make and lock the folder of a new run.

        Raises:
            StateError: it cannot be made; the message says where and why.
        """
        name = f"{_PREFIX}{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}_{secrets.token_hex(4)}"
        path = root / name
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
            (path / "output").mkdir(mode=0o700)
            (path / "log").mkdir(mode=0o700)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateError(
                f"The state folder {root} cannot be used: {error.strerror or error} ({error.filename or path}). "
                "Make it writable, or choose another with state_dir, --state-dir or SUBACTORS_STATE_DIR."
            ) from error
        return cls(path, lock)

    @classmethod
    def take_over(cls, path: Path) -> Self | None:
        """Lock the folder of a run whose host is gone; None if its host lives, or another is just taking it over."""
        try:
            lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None  # being made, or being removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno in {errno.EAGAIN, errno.EACCES}:
                return None
            raise
        return cls(path, lock)

    def release(self) -> None:
        """Let go of the folder; it stays."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Remove the folder with all that is in it, and let go of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()


def is_live(path: Path) -> bool:
    """Whether a run's host lives."""
    taken = RunFolder.take_over(path)
    if taken is None:
        return path.exists()
    taken.release()
    return False
