"""Worktrees whose tasks have ended: the host, or the next one, keeps or removes them, in a thread of its own.

A worktree that holds nothing new is removed with its branch, any other is kept. It must never remove what is neither
committed elsewhere nor ignored by git. It must never have a program started by what a task wrote: git looks at a
worktree with an administrative folder that the host makes for that look alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import IO, Final

from ...actors.regular_files import open_to_read
from ..errors import WorkdirError
from .folder import is_live
from .git import git, limited
from .workdir import WORKTREES, Hurry, Origin, alone_in, branch_of, forget, recall, record_of

__all__ = ["sweep", "tidy"]

logger = logging.getLogger("subactors.runtime")

_ALONE: Final = 30.0
"""Seconds that are waited for others to have done with the repository."""

_SMALL: Final = 1_000_000
"""Bytes, at most, of the files of a repository that are read here."""

_ID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHA256: Final = 64
"""Digits of an id in a repository of the newer kind."""

_PLAIN: Final = re.compile(r"[a-z]{1,20}")
_FAITHFUL: Final = frozenset(
    {
        "core.autocrlf",
        "core.checkstat",
        "core.eol",
        "core.filemode",
        "core.ignorecase",
        "core.precomposeunicode",
        "core.symlinks",
        "core.trustctime",
    }
)
"""Settings without which git would take files for changed; each a word."""

_GITLINK: Final = b"160000 "
"""How the line of a submodule begins in `git ls-files --stage`."""


def sweep(root: Path, hurry: Hurry | None = None) -> None:
    """Look at the worktrees of runs whose hosts are gone.

    Args:
        root: the state folder.
        hurry: no more time than this is taken.
    """
    hurry = hurry or Hurry()
    with contextlib.suppress(OSError):
        for folder in sorted((root / WORKTREES).iterdir()):
            if is_live(root / folder.name) or folder.is_symlink():
                continue
            entries = sorted(folder.iterdir())
            for path in entries:
                if not path.name.startswith(".") and hurry.left:
                    tidy(path, hurry)
            _remove_leftovers(entries, hurry)
            _remove_empty(folder)


def tidy(path: Path, hurry: Hurry | None = None) -> bool:
    """Remove a worktree and its branch unless it holds something new; return whether it is gone.

    Something new is a change that is not committed, a file that git does not know and does not ignore, anything in a
    submodule, or a commit that no other branch or tag has. Where git does not say, everything is kept; so it is where
    the worktree is not as git has made it.
    """
    hurry = hurry or Hurry()
    with contextlib.suppress(OSError):
        path.rmdir()  # empty: there is not even a `.git`
    try:
        if os.path.lexists(path):
            _tidy(path, hurry)
        else:
            forget(path)
            _remove_empty(path.parent)
    except (WorkdirError, OSError, ValueError) as error:
        logger.warning("The worktree %s is kept: %s", path, error)
    return not path.exists()


def _tidy(path: Path, hurry: Hurry) -> None:
    root = path.parents[2]
    if os.path.realpath(path) != os.path.join(os.path.realpath(root), *path.parts[-3:]):  # noqa: PTH118 - as realpath
        raise WorkdirError("A link has been put in its place, or above it.")
    origin = recall(path)
    if origin is None:
        raise WorkdirError("Its repository is not known.")
    if not origin.link:  # whoever was making it was killed: nobody has worked there
        with contextlib.suppress(WorkdirError, OSError):  # not so far as to have such a file
            _remove_administration(path, Path(origin.repository), _read_small(path / ".git"))
    elif _link_now(path) != origin.link:
        raise WorkdirError("Its .git is gone, or is not the file that git has written.")
    elif _has_news(path, origin, hurry):
        return
    repository, hidden = Path(origin.repository), path.with_name(f".{path.name}.gone")
    with alone_in(repository, min(_ALONE, hurry.left)):
        path.rename(hidden)  # whole, so that a host that is killed here leaves nothing half
        if origin.link:
            _remove_administration(path, repository, origin.link)
        with contextlib.suppress(WorkdirError):
            _git_in(repository, path, "branch", "--quiet", "-D", branch_of(path.name), hurry=hurry).close()
        forget(path)
    _remove_tree(hidden, hurry)
    _remove_empty(path.parent)


def _has_news(path: Path, origin: Origin, hurry: Hurry) -> bool:
    repository, branch = Path(origin.repository), branch_of(path.name)
    administration = _administration(path, repository, origin.link)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True) as own:
        head = _first_line(
            git(
                "rev-parse",
                "--verify",
                "HEAD^{commit}",
                places={"GIT_DIR": str(administration), "GIT_COMMON_DIR": str(repository), "GIT_WORK_TREE": str(path)},
                hurry=hurry,
            )
        )
        if not _ID.fullmatch(head):
            raise WorkdirError("Its HEAD is not a commit.")
        places = _clean_folder(Path(own), repository, administration, head)
        places["GIT_WORK_TREE"] = str(path)
        config = _faithful_settings(repository, hurry)
        listing = ("--untracked-files=normal", "--ignore-submodules=all", "--no-renames")
        if _first_line(git("status", "--porcelain", *listing, places=places, config=config, hurry=hurry)):
            return True
        with git("ls-files", "--stage", "-z", places=places, hurry=hurry) as files:
            if _has_submodule(path, files):
                return True
        # The branch itself, and what all other branches, tags and heads have already.
        form = f"%(if:equals=refs/heads/{branch})%(refname)%(then)%(else)^%(end)%(objectname)"
        with _git_in(repository, path, "for-each-ref", f"--format={form}", hurry=hurry) as tips:
            main = _first_line(_git_in(repository, path, "rev-parse", "--revs-only", "HEAD", hurry=hurry))
            heads = [head, *([f"^{main}"] if _ID.fullmatch(main) else [])]
            return bool(
                _first_line(git("rev-list", "--max-count=1", "--stdin", *heads, places=places, hurry=hurry, stdin=tips))
            )


def _git_in(repository: Path, path: Path, *arguments: str, hurry: Hurry) -> IO[bytes]:
    """Run git over the repository itself, whose configuration it reads: for commands only that start no program."""
    return git(*arguments, places={"GIT_DIR": str(repository), "GIT_WORK_TREE": str(path)}, hurry=hurry)


def _clean_folder(own: Path, repository: Path, administration: Path, head: str) -> dict[str, str]:
    """Make an administrative folder without the repository's configuration and attributes; return git's places."""
    (own / "refs").mkdir()
    (own / "objects").mkdir()
    (own / "info").mkdir()
    (own / "HEAD").write_text(f"{head}\n")
    is_longer = len(head) == _SHA256
    extension = "[extensions]\n\tobjectFormat = sha256\n" if is_longer else ""
    (own / "config").write_text(f"[core]\n\trepositoryFormatVersion = {int(is_longer)}\n\tbare = false\n{extension}")
    with contextlib.suppress(FileNotFoundError):
        (own / "info" / "exclude").write_bytes(os.fsencode(_read_small(repository / "info" / "exclude")))
    index = administration / "index"
    if not stat.S_ISREG(index.lstat().st_mode):
        raise WorkdirError("Its index is not a regular file.")
    places = {
        "GIT_DIR": str(own),
        "GIT_INDEX_FILE": str(index),
        "GIT_OBJECT_DIRECTORY": str(repository / "objects"),
    }
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISREG((repository / "shallow").lstat().st_mode):
            places["GIT_SHALLOW_FILE"] = str(repository / "shallow")
    return places


def _faithful_settings(repository: Path, hurry: Hurry) -> dict[str, str]:
    """Return the settings without which files would look changed, and the user's list of what to ignore."""
    home = Path.home()
    own = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git"
    chosen: dict[str, str] = {}
    ignored = str(own / "ignore")
    for file in (Path("/etc/gitconfig"), own / "config", home / ".gitconfig", repository / "config"):
        if not file.is_file():
            continue
        includes = "--no-includes" if file.parent == repository else "--includes"
        source = ("config", "--file", str(file), includes, "--list", "-z")
        with git(*source, places={"GIT_DIR": str(repository)}, hurry=hurry) as printed:
            entries = os.fsdecode(printed.read(_SMALL)).split("\0")
        for name, _, value in (entry.partition("\n") for entry in entries):
            if name in _FAITHFUL and _PLAIN.fullmatch(value):
                chosen[name] = value
            elif name == "core.excludesfile":
                ignored = str(Path(value).expanduser())
    return {**chosen, "core.excludesFile": ignored if Path(ignored).is_file() else "/dev/null"}


def _has_submodule(path: Path, files: IO[bytes]) -> bool:
    """Whether there is anything in the folder of a submodule: git is not to look into it, nor is it to be lost."""
    rest = b""
    while chunk := files.read(_SMALL):
        *entries, rest = (rest + chunk).split(b"\0")
        for entry in entries:
            if entry.startswith(_GITLINK):
                with (
                    contextlib.suppress(FileNotFoundError),
                    os.scandir(path / os.fsdecode(entry.split(b"\t", 1)[1])) as it,
                ):
                    if next(it, None) is not None:
                        return True
    return False


# --- the folders of git ---------------------------------------------------------------------------------------------


def _administration(path: Path, repository: Path, link: str) -> Path:
    """Return the folder in which git keeps what it knows of a worktree, by the content of its `.git`.

    Raises:
        WorkdirError: it is not where it must be, or belongs to another worktree.
    """
    folder = path / link.removeprefix("gitdir:").strip()
    real = Path(os.path.realpath(folder))
    worktrees = Path(os.path.realpath(repository)) / "worktrees"
    if not link.startswith("gitdir:") or real.parent != worktrees:
        raise WorkdirError(f"{real} is not where {repository} keeps what it knows of its worktrees.")
    # Git may keep the way back as one from that folder.
    back = os.path.realpath(real / _read_small(real / "gitdir").strip())
    if back != os.path.join(os.path.realpath(path.parent), path.name, ".git"):  # noqa: PTH118 - as realpath
        raise WorkdirError(f"{real} belongs to another worktree.")
    return real


def _remove_administration(path: Path, repository: Path, link: str) -> None:
    with contextlib.suppress(OSError):  # gone already
        folder = _administration(path, repository, link)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.rmdir()


def _remove_tree(path: Path, hurry: Hurry) -> None:
    """Remove what tasks have left, in a process of its own: no depth of folders or number of files matters to it.

    Raises:
        WorkdirError: some of it could not be removed.
    """
    environ = {"PATH": os.environ.get("PATH", os.defpath)}
    limited(["rm", "-rf", "--", str(path)], what="`rm -rf`", environ=environ, hurry=hurry).close()


def _read_small(path: Path) -> str:
    """Return the text of a file that a task may have replaced; raises OSError if it is not a regular file."""
    with os.fdopen(open_to_read(path), "rb") as file:
        return os.fsdecode(file.read(_SMALL))


def _link_now(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        return _read_small(path / ".git")
    return None


def _first_line(printed: IO[bytes]) -> str:
    with printed:
        return os.fsdecode(printed.readline(_SMALL)).rstrip("\n")


def _remove_leftovers(entries: list[Path], hurry: Hurry) -> None:
    """Remove what a host that was killed has left beside worktrees: its own folders, and records of what is gone."""
    records = {record_of(path) for path in entries if os.path.lexists(path) and not path.name.startswith(".")}
    for path in entries:
        if path.name.startswith(".") and path not in records and os.path.lexists(path):
            with contextlib.suppress(WorkdirError):
                _remove_tree(path, hurry)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()
