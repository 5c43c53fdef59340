"""Node folder: what a node keeps of one run, in the manner of the run's own folder at home, so that a task finds it.

STATE/                      the state folder of the node's user, or the `folder` of the place
├── code/                   archives of modules, by their hashes; see `code_store`
├── node_20260101T120000_1a2b3c4d_5e6f7a8b/   the run's name, and the agent's own
│   ├── lock                held (flock) by the agent for as long as it lives
│   ├── code/               the team's modules
│   ├── log/ results/       what tasks leave there goes home with their ends
│   └── work/               folders of agents with `workdir: private`; they stay
└── worktrees/              of agents with `workdir: worktree`, by agent and task
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from ...actors.regular_files import make, open_to_read
from ..errors import StateError
from ..runs.folder import RunFiles, state_root
from .code import unpack

__all__ = ["NodeFolder", "root_of"]

_PREFIX: Final = "node_"


def root_of(chosen: str) -> Path:
    """Return the state folder of a node: the one that is chosen for it, or its user's own."""
    return state_root(os.path.expanduser(chosen) if chosen else None)  # noqa: PTH111 - it may be no path yet


class NodeFolder(RunFiles):
    """See the module.

    Args:
        path: the folder; it exists.
        lock: descriptor that holds its lock.
        code: folders of the team's modules.
    """

    def __init__(self, path: Path, lock: int, code: Sequence[Path]) -> None:
        super().__init__(path)
        self.code = code
        self._lock = lock

    @classmethod
    def create(cls, root: Path, run: str, code: Sequence[bytes]) -> Self:
        """Make the folder for a run, and remove what agents that are gone have left beside it.

        Args:
            root: the state folder that it is to be in.
            run: name of the run.
            code: the team's modules, packed.

        Raises:
            StateError: it cannot be made; the message says where and why. Nothing of it is left then.
        """
        path = root / f"{_PREFIX}{run.removeprefix('run_')}_{os.urandom(4).hex()}"
        files = RunFiles(path)
        with contextlib.ExitStack() as undoing:
            undoing.callback(_remove, files)
            try:
                for folder in (path, files.log, files.results, files.work):
                    folder.mkdir(mode=0o700, parents=True)
                lock = make(path / "lock")
                undoing.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                folders = [path / "code" / str(number) for number in range(len(code))]
                for packed, folder in zip(code, folders, strict=True):
                    unpack(packed, folder)
            except OSError as error:
                raise StateError(f"its folder {path} cannot be made: {error.strerror or error}") from error
            undoing.pop_all()
        _sweep(root)
        return cls(path, lock, folders)

    def close(self) -> None:
        """Remove it but for what tasks have left in folders of their own."""
        _remove(self)
        os.close(self._lock)


def _sweep(root: Path) -> None:
    """Remove what agents have left that were killed."""
    with contextlib.suppress(OSError):
        for path in root.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                lock = open_to_read(path / "lock")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused where the agent lives
                    _remove(RunFiles(path))
                finally:
                    os.close(lock)


def _remove(files: RunFiles) -> None:
    for folder in (files.log, files.results, files.path / "code"):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        for own in files.work.iterdir():
            with contextlib.suppress(OSError):
                own.rmdir()  # what has something in it stays
        files.work.rmdir()
        (files.path / "lock").unlink()
        files.path.rmdir()
