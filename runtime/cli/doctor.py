"""Doctor: `subactors doctor`, what this machine offers, what the runtime uses of it, and whether a task really works.

It starts a task, has it answer and end. It reports what it has tried or read just now, nothing that it merely expects.
"""

from __future__ import annotations

import logging
import os
import platform
import resource
import secrets
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ...actors import CgroupTree
from ...actors.fence import offer
from ...actors.regular_files import open_to_read
from ..errors import SubactorsError, WorkdirError
from ..runs.folder import state_root
from ..runs.git import limited
from ..runs.workdir import Hurry
from ..runtime import Runtime
from ..tasks.wording import size
from ..team.key_variables import known_keys
from ..team.places import PlaceConfig
from ..teamfile.load import load_team
from ..teamfile.nodes import MOST_DEEP, MOST_ENTRIES, MOST_VALUES
from ..terminal.streams import out
from ..text import one_line
from .json_style import print_json
from .manner import manner
from .means import LEGEND, Finding, State, model_findings, program_findings
from .place_means import place_findings

__all__ = ["examine", "report"]

logger = logging.getLogger("subactors.runtime")

_FAILED: Final = 1

_TREE: Final = "a task with all that it has started, which it looks at every 0.1 s"


def report(state_dir: str | None, team: Path | None = None, *, ping: bool, as_json: bool = False) -> int:
    """Print what is found as it is found, and what its marks mean; return the exit status.

    Raises:
        TeamFileError: the team file cannot be used.
    """
    places = load_team(team).settings.places if team is not None else ()
    is_good = True
    for finding in examine(state_dir, places, ping=ping):
        is_good = is_good and finding.state != "!!"
        logger.debug("Looked at %s.", finding.what)
        if as_json:
            print_json(asdict(finding))
        elif finding.state == "!!" or not manner.quiet:
            out.sentence(f"{finding.state}  {finding.what}: {finding.how}", hang=4)
    if manner.quiet or as_json:
        return 0 if is_good else _FAILED
    out.line()
    for line in LEGEND:
        out.sentence(line, hang=4)
    return 0 if is_good else _FAILED


def examine(
    state_dir: str | None = None, places: tuple[PlaceConfig, ...] = (), *, ping: bool = False
) -> Iterator[Finding]:
    """Look at this machine, and run a task on it; yields what is found as it is found.

    Args:
        state_dir: the state folder; None: the user's own.
        places: of a team.
        ping: whether to ask the servers of models, and the hosts and heads of places.
    """
    release = platform.release()
    python = f"Python {platform.python_version()}"
    yield Finding("platform", _state_of(sys.platform == "linux"), f"{platform.system()} {release}, {python}")
    yield _exits()
    yield _orphans()
    yield _fence()
    parent = "the process that all tasks are forked from"
    yield Finding(
        "zygote", "ok", f"{parent} is asked every second while it owes something, and replaced when it is stuck"
    )
    yield Finding("limit wall_clock, tokens, iterations, output", "ok", "held by the host")
    yield Finding("limit cpu", "ok", f"the kernel holds it for each process (RLIMIT_CPU), and the host for {_TREE}")
    groups = CgroupTree.find()
    yield _memory(groups)
    yield _processes(groups)
    yield _control_groups(groups)
    yield _descriptors()
    yield Finding(
        "turns",
        "ok",
        "what tasks send is handled a moment at a time, in turn; a quarter of the slots, four at most, is kept for "
        "others than whoever takes them; CPU, disk and rate limits of this machine are shared all the same",
    )
    yield _keys()
    yield from model_findings(ping=ping)
    yield _git()
    yield from program_findings()
    yield from place_findings(places, ping=ping)
    yield Finding(
        "fetch",
        "ok",
        "metadata of clouds refused always, this machine and private networks unless `allow_private_ips: true`; a "
        "public address that a router maps to this machine cannot be told",
    )
    yield Finding(
        "team files",
        "ok",
        f"{MOST_VALUES:,} values, {MOST_ENTRIES:,} entries of each list or mapping, {MOST_DEEP} levels at most; what a "
        "team names in `entrypoint`, `preload` and `mcp` is run as it is, once tasks are started",
    )
    yield _state(state_dir)
    yield _files(state_dir)
    yield _task(state_dir)


def _state_of(is_good: bool) -> State:
    return "ok" if is_good else "!!"


def _exits() -> Finding:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        return Finding("exits", "!!", f"no pidfd ({error}); Linux 5.3 or newer is needed")
    return Finding("exits", "ok", "the host is told at once when a process ends (pidfd)")


def _orphans() -> Finding:
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    if not path.exists():
        return Finding("orphans", "!!", f"{path} is not there; a kernel with CONFIG_PROC_CHILDREN is needed")
    return Finding("orphans", "ok", "whatever a task has started is found when it ends (it is a subreaper), and killed")


def _fence() -> Finding:
    kind, how = offer()
    return Finding("fence", _state_of(kind == "signals and tracing"), how)


def _memory(groups: CgroupTree | None) -> Finding:
    kernel = "for each process (RLIMIT_DATA)"
    if groups is not None and not groups.no_memory:
        kernel = f"for a task's control group (memory.max), and {kernel}"
    if not Path("/proc/self/smaps_rollup").exists():
        return Finding(
            "limit memory", "!!", f"the kernel holds it {kernel}; it has no /proc/self/smaps_rollup, so looks take long"
        )
    own = "what they alone use counts (USS), and what they share"
    return Finding("limit memory", "ok", f"the kernel holds it {kernel}, and the host for {_TREE}: {own}")


def _processes(groups: CgroupTree | None) -> Finding:
    how = f"the host holds it for {_TREE}"
    if groups is not None and not groups.no_processes:
        how += "; for what forks faster the kernel has a higher one (pids.max of its control group)"
    return Finding("limit processes", "ok", how)


def _control_groups(groups: CgroupTree | None) -> Finding:
    what = "control groups"
    if groups is None:
        return Finding(
            what,
            "--",
            "not used, as SUBACTORS_CGROUP names none that this user may divide; the limits above hold without",
        )
    if groups.problem:
        return Finding(what, "!!", f"not used: {groups.problem}")
    missing = [problem for problem in (groups.no_memory, groups.no_processes) if problem]
    tasks = f"one for each task with a limit on memory or processes, under {groups.path}"
    return Finding(what, _state_of(not missing), "; ".join([tasks, *missing]))


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard >= 1000  # noqa: PLR2004 - some hundreds of tasks
    limit = "no limit" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    return Finding(
        "descriptors", _state_of(enough), f"{soft:,}, raised when needed up to {limit}; a task takes about 4"
    )


def _keys() -> Finding:
    found = [name for name in sorted(known_keys()) if name in os.environ]
    if not found:
        return Finding("keys", "--", "no variable here holds a key of a known provider")
    # Whether a task can look into the host is the kernel's affair.
    how = "given to tasks that need them, and inherited by none, nor by commands and MCP programs"
    return Finding("keys", "ok", f"{', '.join(found)}: {how}; the host's own environment still has them")


def _git() -> Finding:
    try:
        with limited(["git", "--version"], what="`git --version`", environ=dict(os.environ), hurry=Hurry()) as printed:
            version = one_line(printed.read(100).decode(errors="replace"), 60)
    except WorkdirError as error:
        return Finding("git", "--", f"not used, so agents cannot have `workdir: worktree`: {error}")
    how = "runs in processes with limits, and over a task's worktree with no configuration, hook or filter of it"
    return Finding("git", "ok", f"{version}: {how}; when a worktree is made, its task runs your filters")


def _files(state_dir: str | None) -> Finding:
    what, folder = "files of the state folder", _own_folder(state_dir)
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        os.mkfifo(folder / "pipe")
        (folder / "link").symlink_to(os.devnull)
        opened = [name for name in ("pipe", "link") if _opens(folder / name)]
    except OSError as error:
        return Finding(what, "!!", f"could not be tried: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if opened:
        return Finding(what, "!!", f"what must be refused was opened: a {' and a '.join(opened)}")
    how = "regular ones only are opened, without waiting or following links: a pipe and a link were refused just now"
    return Finding(what, "ok", f"{how}; tasks can still forge and delete them")


def _opens(path: Path) -> bool:
    try:
        os.close(open_to_read(path))
    except OSError:
        return False
    return True


def _own_folder(state_dir: str | None) -> Path:
    """Return a folder for what is nobody's, which is not there yet; its name is one that is removed as a left-over."""
    return state_root(state_dir) / f".run_doctor_{secrets.token_hex(4)}"


def _state(state_dir: str | None) -> Finding:
    root, folder = state_root(state_dir), _own_folder(state_dir)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        folder.rmdir()
        free = shutil.disk_usage(root).free
        mode = root.stat().st_mode
    except OSError as error:
        why = f"{root} cannot be made or written to: {error.strerror or error}"
        return Finding("state folder", "!!", f"{why}. Name another in SUBACTORS_STATE_DIR, or with --state-dir")
    good = free > 100_000_000  # noqa: PLR2004 - some outputs' worth
    writable = "writable"
    if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        good, writable = False, "writable, by others, too, from whom the next run takes that if it may"
    how = f"{root}, {writable}, {size(free)} free; its journals are of SQLite {sqlite3.sqlite_version}"
    return Finding("state folder", _state_of(good), how)


def _task(state_dir: str | None) -> Finding:
    team = {"agents": {"echo": {"entrypoint": "subactors.runtime.testing:echo"}}}
    folder = _own_folder(state_dir)
    try:
        with Runtime.from_mapping(team, state_dir=folder) as runtime:
            times = []
            for _ in range(2):  # the first one waits for the zygote
                started = time.monotonic()
                (view,) = runtime.wait([runtime.run("echo", "hello")], timeout=30)
                times.append(time.monotonic() - started)
    except (SubactorsError, OSError, ValueError) as error:
        return Finding("a task", "!!", f"could not be run: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if view.result != "hello":
        return Finding("a task", "!!", f"ended as {view.status}: {view.reason}")
    first, second = (f"{taken * 1000:.0f} ms" for taken in times)
    return Finding("a task", "ok", f"started, answered and gone in {first} with the zygote's start, {second} without")
