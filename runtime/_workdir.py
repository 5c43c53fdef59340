"""Folders that agents have to themselves: a scratch folder, or a git worktree of the current repository.

A task's process makes its folder before its agent begins (`enter`). A scratch folder lives as long as the folder of its
run. A worktree is looked at when its task has ended, by a thread of the host (`WorktreeKeeper`), or by the next host if
this one died: one that holds nothing new is removed with its branch, any other is kept. Must never remove what is
neither committed elsewhere nor ignored by git.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ._errors import WorkdirError
from ._state import is_live
from ._team import Workdir
from ._text import one_line

__all__ = ["WorktreeKeeper", "branch_of", "enter", "sweep", "tidy", "worktree_folder"]

logger = logging.getLogger("subactors.runtime")

_WORKTREES: Final = "worktrees"

_MAKING: Final = 300.0
"""Seconds that git may take to make a worktree; a stop does not wait for it."""

_TIDYING: Final = 30.0
"""Seconds for each command of git at the end of a task."""

_BEING_MADE: Final = frozenset({"initializing", "added with --lock"})
"""The reasons, in git's words, of the lock that a worktree has until it is complete."""


def worktree_folder(run: Path, task_id: str) -> Path:
    """Return where a task's worktree is: beside its run's folder, which may be removed before the worktree is."""
    return run.parent / _WORKTREES / run.name / task_id


def branch_of(task_id: str) -> str:
    """Return the branch of a task's worktree."""
    return f"subactors/{task_id}"


# --- in a task's process --------------------------------------------------------------------------------------------


def enter(kind: Workdir, base: str, own: str, task_id: str) -> None:
    """Make a task's folder, if it has one to itself, and make it the current directory of this process.

    A folder that an earlier attempt has left is gone on with. In a worktree the task starts where the same folder of
    the repository is that it was started in.

    Args:
        kind: the agent's `workdir`.
        base: the runtime's working directory; empty: the current one.
        own: the folder to make, for all but `shared`.
        task_id: names the branch.

    Raises:
        WorkdirError: it cannot be had; the message says why.
    """
    if kind == "shared" and not base:
        return
    try:
        before = Path.cwd()
        # What is imported from the current directory must be found when it is another.
        sys.path[:] = [str(before / path) for path in sys.path]
        folder = before / base
        if kind == "private":
            folder = Path(own)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif kind == "worktree":
            folder = _worktree(folder, Path(own), branch_of(task_id))
        os.chdir(folder)
    except OSError as error:
        raise WorkdirError(f"The working directory {error.filename or own or base} cannot be used: {error}.") from None


def _worktree(base: Path, path: Path, branch: str) -> Path:
    for name in _git_variables(os.environ):  # of another repository, and the agent's own commands would follow them
        del os.environ[name]
    within = _git(base, "rev-parse", "--show-prefix", what="This agent works in a git worktree, and")
    if not (path / ".git").exists() or _is_being_made(path):
        repository = _repository(base)
        _remove(repository, path, branch)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        what = "The agent's git worktree could not be made:"
        with _alone_in(repository):
            options = ["--quiet", "--no-checkout", "--lock", "-b", branch]
            _git(base, "worktree", "add", *options, str(path), "HEAD", what=what)
        # What takes its time need not be alone.
        _git(path, "reset", "--quiet", "--hard", what=what, seconds=_MAKING)
        with _alone_in(repository):
            _git(base, "worktree", "unlock", str(path), what=what)
    folder = path / within
    return folder if folder.is_dir() else path  # the folder may hold nothing that is committed


# --- in a host ------------------------------------------------------------------------------------------------------


class WorktreeKeeper:
    """Looks at worktrees whose tasks have ended, one after the other, in a thread of its own.

    `ended` may be called from any thread; the thread is started by the first call.
    """

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def ended(self, path: Path) -> None:
        """Take note that the task of a worktree has ended. Returns at once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="subactors-worktrees", daemon=True)
                self._thread.start()
        self._ended.put(path)

    def close(self) -> None:
        """Look at those that are left, and end the thread."""
        if self._thread is not None:
            self._ended.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (path := self._ended.get()) is not None:
            try:
                tidy(path)
            except Exception:  # the others are looked at all the same
                logger.exception("The worktree %s could not be looked at, and is kept.", path)


def sweep(root: Path) -> None:
    """Look at the worktrees of runs whose hosts are gone.

    Args:
        root: the state folder.
    """
    with contextlib.suppress(OSError):
        for folder in sorted((root / _WORKTREES).iterdir()):
            if not is_live(root / folder.name):
                for path in sorted(folder.iterdir()):
                    tidy(path)
                _remove_empty(folder)


def tidy(path: Path) -> bool:
    """Remove a worktree and its branch unless it holds something new; return whether it is gone.

    Something new is a change that is not committed, a file that git does not know and does not ignore, or a commit that
    no other branch or tag has. Where git does not say, everything is kept.
    """
    branch = branch_of(path.name)
    try:
        if not (path / ".git").exists():
            _remove_empty(path)
            return not path.exists()
        repository = _repository(path)
        if not _is_being_made(path):
            if _git(path, "status", "--porcelain", "--untracked-files=normal"):
                return False
            tips = {_git(path, "rev-parse", "HEAD"), *_git(repository, "rev-parse", f"refs/heads/{branch}").split()}
            # Else `--all` has the heads of all worktrees, this one among them.
            others = ["--single-worktree", "--not", f"--exclude=refs/heads/{branch}", "--all"]
            if _git(repository, "rev-list", "--max-count=1", *sorted(tips), *others):
                return False
        _remove(repository, path, branch)
    except (WorkdirError, OSError) as error:
        logger.info("The worktree %s is kept: %s", path, error)
    else:
        _remove_empty(path.parent)
    return not path.exists()


def _remove(repository: Path, path: Path, branch: str) -> None:
    """Remove a worktree, or what there is of it, and its branch."""
    if _is_being_made(path):
        with _alone_in(repository), contextlib.suppress(WorkdirError):
            _git(repository, "worktree", "unlock", str(path))  # it could not be found any more without its folder
    shutil.rmtree(path, ignore_errors=True)
    with _alone_in(repository), contextlib.suppress(WorkdirError):
        _git(repository, "worktree", "prune")
        _git(repository, "branch", "--quiet", "-D", branch)


@contextlib.contextmanager
def _alone_in(repository: Path) -> Iterator[None]:
    """Keep other tasks from changing the list of worktrees and branches: git is not made for several at once."""
    lock = os.open(repository / "subactors.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _repository(folder: Path) -> Path:
    """Return the folder that all worktrees of a repository share."""
    return (folder / _git(folder, "rev-parse", "--git-common-dir")).resolve()


def _is_being_made(path: Path) -> bool:
    """Whether the process that made a worktree was killed in the middle of it: nobody has worked there."""
    try:
        folder = (path / ".git").read_text().removeprefix("gitdir:").strip()
        return Path(folder, "locked").read_text().strip() in _BEING_MADE
    except (OSError, ValueError):
        return False


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()


def _git(folder: Path, *arguments: str, what: str = "", seconds: float = _TIDYING) -> str:
    """Run git in a folder and return what it printed, without the last line break.

    Raises:
        WorkdirError: it failed, took too long, or there is none; the message begins with `what`.
    """
    hidden = _git_variables(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's own git, found as a shell would
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=seconds,
            env={**environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
        )
    except subprocess.TimeoutExpired:
        raise WorkdirError(f"{what} `git {arguments[0]}` took longer than {seconds:g} s.".strip()) from None
    except OSError as error:
        raise WorkdirError(f"{what} git cannot be run: {error}. Install git.".strip()) from None
    if done.returncode:
        said = one_line(done.stderr.decode("utf-8", "replace"), 300) or f"exit status {done.returncode}"
        raise WorkdirError(f"{what} `git {arguments[0]}` in {folder} failed: {said}".strip())
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def _git_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that would have git work on another repository, as they are set in its hooks."""
    names = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}
    return [name for name in names if name in environ]
