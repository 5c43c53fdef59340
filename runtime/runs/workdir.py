"""Working directories: folders that agents have to themselves, a scratch folder or a git worktree of the repository.

A task's process makes its folder before its agent begins (`enter`). A scratch folder lives as long as the folder of its
run. Once a task has ended, the host decides what becomes of its worktree (`worktrees`), by what is remembered of it
here. It must never go on with a worktree that is not as git has made it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from ...actors.regular_files import is_folder, make, open_to_read
from ..errors import WorkdirError
from ..team.config import Workdir
from ..text import one_line

__all__ = [
    "OFF",
    "WORKTREES",
    "Hurry",
    "Origin",
    "alone_in",
    "branch_of",
    "enter",
    "forget",
    "options_of",
    "recall",
    "record_of",
    "worktree_folder",
]

WORKTREES: Final = "worktrees"
"""The folder of the state folder that holds them."""

_MAKING: Final = 300.0
"""Seconds that git may take to make a worktree; a stop does not wait for it."""

_SECONDS: Final = 30.0
"""Seconds for each other command of git."""

_LOCK_PAUSE: Final = 0.02
"""Seconds between two attempts to be alone in a repository."""

_LONGEST_RECORD: Final = 100_000
_TRIES: Final = 100

OFF: Final = {
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.pager": "cat",
    "core.editor": "false",
    "diff.external": "",
    "gpg.program": "false",
    "submodule.recurse": "false",
    "log.showSignature": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
"""What would have git start a program, as it counts over all that a repository's configuration says."""


def worktree_folder(run: Path, task_id: str) -> Path:
    """Return where a task's worktree is: beside its run's folder, which may be removed before the worktree is."""
    return run.parent / WORKTREES / run.name / task_id


def branch_of(task_id: str) -> str:
    """Return the branch of a task's worktree."""
    return f"subactors/{task_id}"


# --- in a task's process --------------------------------------------------------------------------------------------


def enter(kind: Workdir, base: str, own: str, task_id: str, former: str = "") -> None:
    """Make a task's folder, if it has one to itself, and make it the current directory of this process.

    A folder that an earlier attempt has left is gone on with. In a worktree the task starts where the same folder of
    the repository is that it was started in.

    Args:
        kind: the agent's `workdir`.
        base: the runtime's working directory; empty: the current one.
        own: the folder to make, for all but `shared`.
        task_id: names the branch.
        former: the folder of a task that this one continues; it becomes this one's, with all that is in it. Empty if
            there is none. Where it is gone, this one's is a new one.

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
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if former and not is_folder(own) and is_folder(former):
                Path(former).rename(folder)
            folder.mkdir(mode=0o700, exist_ok=True)
        elif kind == "worktree":
            folder = _worktree(folder, Path(own), branch_of(task_id), Path(former) if former else None)
        os.chdir(folder)
    except OSError as error:
        raise WorkdirError(f"The working directory {error.filename or own or base} cannot be used: {error}.") from None


def _worktree(base: Path, path: Path, branch: str, former: Path | None) -> Path:
    for name in _git_variables(os.environ):  # of another repository, and the agent's own commands would follow them
        del os.environ[name]
    within = _git(base, "rev-parse", "--show-prefix", what="This agent works in a git worktree, and")
    if former is not None and not path.exists() and _is_there(former):
        _move(base, former, path, branch)
    elif not _is_there(path):
        _make(base, path, branch)
    folder = path / within
    return folder if folder.is_dir() else path  # the folder may hold nothing that is committed


def _is_there(path: Path) -> bool:
    """Whether a worktree has been made, and is still there.

    Raises:
        WorkdirError: it is not as git has made it.
    """
    origin = recall(path)
    if origin is None or not origin.link or not path.exists():
        return False
    link = ""
    with contextlib.suppress(OSError):
        link = _link_of(path)
    if link != origin.link:
        raise WorkdirError(f"The worktree {path} is kept, and not gone on with: its .git is not what git has written.")
    return True


def _move(base: Path, former: Path, path: Path, branch: str) -> None:
    """Make the worktree of a task that has ended, with its branch, that of the one which continues it."""
    origin = recall(former)
    assert origin is not None  # noqa: S101 - it is there
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone_in(Path(origin.repository), _MAKING):
        _git(base, "worktree", "move", str(former), str(path), what="The worktree to go on with could not be moved:")
        with contextlib.suppress(WorkdirError):  # the task has removed or renamed its branch
            _git(path, "branch", "--quiet", "-m", branch_of(former.name), branch)
        _remember(path, Origin(origin.repository, _link_of(path)))
        forget(former)


def _make(base: Path, path: Path, branch: str) -> None:
    what = "The agent's git worktree could not be made:"
    repository = (base / _git(base, "rev-parse", "--git-common-dir", what=what)).resolve()
    _remember(path, Origin(str(repository), ""))
    with alone_in(repository, _MAKING):
        _remove_what_there_is(repository, path, branch)
        _git(base, "worktree", "add", "--quiet", "--no-checkout", "-b", branch, str(path), "HEAD", what=what)
    # What takes its time need not be alone.
    _git(path, "reset", "--quiet", "--hard", what=what, seconds=_MAKING)
    _remember(path, Origin(str(repository), _link_of(path)))


def _remove_what_there_is(repository: Path, path: Path, branch: str) -> None:
    """Remove what an attempt has left that was killed as it made its worktree; nobody has worked there."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(WorkdirError):
        _git(repository, "worktree", "prune")
        _git(repository, "branch", "--quiet", "-D", branch)


def _link_of(path: Path) -> str:
    with os.fdopen(open_to_read(path / ".git"), "rb") as file:
        return os.fsdecode(file.read(_LONGEST_RECORD))


@contextlib.contextmanager
def alone_in(repository: Path, seconds: float) -> Iterator[None]:
    """Keep other tasks from changing the list of worktrees and branches: git is not made for several at once.

    Raises:
        WorkdirError: it took longer than `seconds` to be alone.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    lock = os.open(repository / "subactors.lock", flags, 0o600)
    try:
        end = time.monotonic() + min(seconds, _MAKING)
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > end:
                raise WorkdirError(f"Somebody holds the lock {repository / 'subactors.lock'}.")
            time.sleep(_LOCK_PAUSE)
        yield
    finally:
        os.close(lock)


# --- in a host ------------------------------------------------------------------------------------------------------


class Hurry:
    """Time that is left to work on worktrees: without end until `begin` is called, from any thread."""

    def __init__(self) -> None:
        self._end = float("inf")

    def begin(self, seconds: float) -> None:
        """Have everything end within that time."""
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left; not below 0."""
        return max(0.0, self._end - time.monotonic())


# --- what is remembered of a worktree -------------------------------------------------------------------------------


class Origin(msgspec.Struct, frozen=True):
    """Origin of a worktree, as remembered outside of it, where its task's file tools do not reach.

    Attributes:
        repository: the folder that all worktrees of the repository share.
        link: what git has written into the worktree's `.git`; empty while the worktree is being made.
    """

    repository: str
    link: str


def record_of(path: Path) -> Path:
    """Return the file in which a worktree's origin is remembered."""
    return path.with_name(f".{path.name}.json")


def recall(path: Path) -> Origin | None:
    """Return where a worktree is from; None if that is not known."""
    try:
        with os.fdopen(open_to_read(record_of(path)), "rb") as file:
            return msgspec.json.decode(os.fsdecode(file.read(_LONGEST_RECORD)).encode(), type=Origin)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None


def forget(path: Path) -> None:
    """Remove what is remembered of a worktree that is gone."""
    record_of(path).unlink(missing_ok=True)


def _remember(path: Path, origin: Origin) -> None:
    record = record_of(path)
    for _ in range(_TRIES):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not found: the host has removed the run's last worktree just now, and the folder with it.
        with contextlib.suppress(FileNotFoundError):
            new = record.with_suffix(".new")
            with os.fdopen(make(new), "wb") as file:
                file.write(msgspec.json.encode(origin))
            new.replace(record)
            return
    raise WorkdirError(f"{record} cannot be written.")


# --- git ------------------------------------------------------------------------------------------------------------


def _git(folder: Path, *arguments: str, what: str = "", seconds: float = _SECONDS) -> str:
    """Run git in a task's process, before the task begins; return what it printed, without the last line break.

    Filters of the repository's configuration do run: without them Git LFS would check out no files.

    Raises:
        WorkdirError: it failed, took too long, or there is none; the message begins with `what`.
    """
    hidden = _git_variables(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        done = subprocess.run(
            ["git", *options_of(OFF), "-C", str(folder), *arguments],  # noqa: S607 - the user's own, as a shell finds it
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


def options_of(config: Mapping[str, str]) -> list[str]:
    """Return settings as options of git."""
    return [part for name, value in config.items() for part in ("-c", f"{name}={value}")]


def _git_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that would have git work on another repository, as they are set in its hooks."""
    names = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}
    return [name for name in names if name in environ]
