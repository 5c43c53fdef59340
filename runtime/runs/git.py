"""Git for the runtime: each command is a process of its own, with limits, that starts no other program.

A task can write any file of a repository that its user can write: the configuration, the index, the references. So git
is told every place, is given no configuration but what is below, and may take only so much time, memory and disk. Must
never be called without `GIT_DIR`: git would look for a repository among a task's files.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from ..errors import WorkdirError
from ..text import one_line
from .workdir import OFF, Hurry, options_of

__all__ = ["git", "limited"]

_SECONDS: Final = 30.0
"""Time for each command, and its processor time."""

_MEMORY: Final = 4_000_000_000
"""Bytes of address space; git maps its packs only in parts (`core.packedGitLimit`)."""

_PRINTED: Final = 256_000_000
"""Bytes that a command may print; the list of the files of a large repository is the longest."""

_OFF_IN_HOST: Final = {
    "core.attributesFile": "/dev/null",
    "core.askPass": "",
    "core.sshCommand": "false",
    "core.gitProxy": "",
    "core.alternateRefsCommand": "false",
    "core.safecrlf": "false",  # what it says is taken for a complaint
    "credential.helper": "",
    "protocol.allow": "never",
}
"""Besides what is off when a worktree is made (`OFF`), where some may need it, to fetch objects say."""

_FRUGAL: Final = {
    "core.preloadIndex": "false",
    "core.untrackedCache": "false",
    "core.packedGitLimit": "512m",
    "core.packedGitWindowSize": "32m",
}

_PASSED_ON: Final = frozenset({"PATH", "LD_LIBRARY_PATH", "TMPDIR", "GIT_EXEC_PATH"})
"""Variables of the host that git needs to run at all; no key, and nothing that names a program."""

_PAUSE: Final = 0.2
"""Seconds between two looks at whether the host is in a hurry by now, and whether the command does anything."""

_ASLEEP: Final = 3.0
"""Seconds for which a command may sleep without using the processor: git waits for nothing but disks, which is another
state, or for what a task has put in the place of a file, such as a FIFO."""


def git(
    *arguments: str,
    places: Mapping[str, str],
    config: Mapping[str, str] | None = None,
    hurry: Hurry,
    stdin: IO[bytes] | None = None,
) -> IO[bytes]:
    """Run git, and return what it printed: a file without a name, at its beginning. For the host.

    Args:
        arguments: the command and its own.
        places: `GIT_DIR` and others of git's variables.
        config: options besides; texts that git takes as they are.
        hurry: no more time than this is taken.
        stdin: read by git.

    Raises:
        WorkdirError: it failed, complained, took too long, or there is none.
    """
    options = {**(config or {}), **_FRUGAL, **OFF, **_OFF_IN_HOST}
    command = ["git", "--no-pager", *options_of(options), *arguments]
    return limited(command, what=f"`git {arguments[0]}`", environ=_environ(places), hurry=hurry, stdin=stdin)


def _environ(places: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    return {
        **kept,
        # A relative entry would be looked up in whatever folder git goes to.
        "PATH": os.pathsep.join(entry for entry in kept.get("PATH", os.defpath).split(os.pathsep) if entry[:1] == "/"),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "",  # a repository that lacks objects is not to fetch them by a command of its own
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        **places,
    }


def limited(
    command: Sequence[str], *, what: str, environ: Mapping[str, str], hurry: Hurry, stdin: IO[bytes] | None = None
) -> IO[bytes]:
    """Run a program with limits on time, memory and disk; return what it printed. Blocks.

    Args:
        command: the program, found on the PATH of `environ`, and its arguments.
        what: how messages call it.
        environ: its whole environment.
        hurry: no more time than this is taken.
        stdin: read by it.

    Raises:
        WorkdirError: it failed or complained, took too long, or there is none.
    """
    # What is printed goes to files without a name: a pipe would have to be read, and its end waited for.
    with contextlib.ExitStack() as opened:
        printed = opened.enter_context(tempfile.TemporaryFile())
        errors = opened.enter_context(tempfile.TemporaryFile())
        status = _run(command, what, environ, hurry, (stdin or subprocess.DEVNULL, printed, errors))
        errors.seek(0)
        said = one_line(errors.read(2000).decode("utf-8", "replace"), 300)
        if status or said:
            raise WorkdirError(f"{what} failed: {said or f'exit status {status}'}")
        opened.pop_all()
        errors.close()
    printed.seek(0)
    return printed


def _run(
    command: Sequence[str],
    what: str,
    environ: Mapping[str, str],
    hurry: Hurry,
    streams: tuple[IO[bytes] | int, IO[bytes], IO[bytes]],
) -> int:
    end = time.monotonic() + _SECONDS
    stdin, stdout, stderr = streams
    if not hurry.left:
        raise WorkdirError("there is no time left, as the host closes. The next host looks at it again.")
    try:
        process = subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, cwd="/", env=environ, start_new_session=True
        )
    except OSError as error:
        raise WorkdirError(f"{what} cannot be run: {error}. Install {command[0]}.") from None
    try:
        _limit(process.pid)
        before, awake = "", time.monotonic()
        while (left := min(end - time.monotonic(), hurry.left)) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(min(left, _PAUSE))
            now = _sleep_of(process.pid)
            if not now or now != before:
                before, awake = now, time.monotonic()
            elif time.monotonic() - awake > _ASLEEP:
                raise WorkdirError(f"{what} waited for something other than a file, and was ended.")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    raise WorkdirError(f"{what} took too long, and was ended.")


def _sleep_of(pid: int) -> str:
    """Return the processor time of a child that sleeps, as the kernel writes it; empty if it does anything."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return " ".join(fields[11:13]) if fields[0] == "S" else ""
    return ""


def _limit(pid: int) -> None:
    """Put limits on a child that is not reaped yet. It cannot have done much so far."""
    for what, most in (
        (resource.RLIMIT_CPU, int(_SECONDS)),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, _PRINTED),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(OSError):  # it has ended
            _, hard = resource.prlimit(pid, what)
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.prlimit(pid, what, (bound, bound))
