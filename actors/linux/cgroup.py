"""Control groups, version 2: the strongest limits there are, where the host has been given a tree of them to write in.

A process with limits for its whole tree gets a group of its own there. The host names it, the process makes and enters
it, and the zygote ends and removes it. Without such a tree nothing here is used, and limits have to be held otherwise.

It must never write outside the tree that it was given, nor remove a group in which something lives. Only for processes
with such limits, because moving one into a group takes the kernel some milliseconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from pathlib import Path
from typing import Final, Self

import msgspec

from ..wire.messages import GroupUse, ProcessLimits

__all__ = ["VARIABLE", "CgroupTree", "Groups", "enter", "kill", "remove", "use_of"]

logger = logging.getLogger("subactors.actors")

VARIABLE: Final = "SUBACTORS_CGROUP"
"""Environment variable that names a delegated group without processes of its own."""

_ENTRIES_PER_PROCESS: Final = 256
"""The kernel counts threads like processes, so its bound must be larger than the limit. It stops what forks faster than
anybody looks, and leaves processes their threads."""

_MOST_ENTRIES: Final = 1 << 22
"""More than this the kernel refuses to be told."""

_NAME: Final = re.compile(r"subactors-(\d+)-\w+")


class CgroupTree(msgspec.Struct, frozen=True):
    """The group in which a host may make others.

    Attributes:
        path: its folder.
        problem: why no groups can be made in it; empty if they can.
        no_memory: why groups in it cannot hold memory; empty if they can.
        no_processes: likewise, for the number of processes.
    """

    path: Path
    problem: str = ""
    no_memory: str = ""
    no_processes: str = ""

    @classmethod
    def find(cls) -> Self | None:
        """Try out the tree that the environment names; None if it names none.

        Its controllers are switched on for the groups in it. What hosts that are gone have left empty is removed.
        """
        name = os.environ.get(VARIABLE)
        if not name:
            return None
        path = Path(name)
        problem = _problem(path)
        if problem:
            return cls(path, problem, problem, problem)
        _remove_leftovers(path)
        refused = {controller: _switch_on(path, controller) for controller in ("memory", "pids")}
        probe = Path(cls(path).new_group())
        try:
            probe.mkdir()
        except OSError as error:
            problem = f"no group can be made in {path} ({error.strerror})"
            return cls(path, problem, problem, problem)
        try:
            return cls(
                path,
                no_memory="" if (probe / "memory.max").exists() else refused["memory"],
                no_processes="" if (probe / "pids.max").exists() else refused["pids"],
            )
        finally:
            remove(str(probe))

    def new_group(self) -> str:
        """Return a name for a group that is still to be made."""
        return str(self.path / f"subactors-{os.getpid()}-{os.urandom(4).hex()}")


class Groups:
    """Names control groups for processes of a host; looks for the tree of them when the first is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[CgroupTree | None] | None = None

    def name_for(self, limits: ProcessLimits | None) -> str | None:
        """Return a new group's name for a process, if it has limits for one and there is a tree; in any thread."""
        if limits is None or (limits.tree_bytes is None and limits.tree_processes is None):
            return None
        with self._lock:
            if self._found is None:
                tree = CgroupTree.find()
                if tree is not None and tree.problem:
                    logger.warning("No control groups are used: %s.", tree.problem)
                    tree = None
                self._found = (tree,)
        (tree,) = self._found
        return tree.new_group() if tree is not None else None


def enter(group: str, limits: ProcessLimits) -> None:
    """Make a group with limits, and move this process into it, before it has started others.

    Raises:
        OSError: it cannot be done; the process stays where it was.
    """
    path = Path(group)
    path.mkdir()
    with contextlib.suppress(FileNotFoundError):  # without the controller, or without accounting of swap
        if limits.tree_bytes is not None:
            _write(path / "memory.max", str(limits.tree_bytes))
            _write(path / "memory.oom.group", "1")
            _write(path / "memory.swap.max", "0")
    with contextlib.suppress(FileNotFoundError):
        if limits.tree_processes is not None:
            _write(path / "pids.max", str(min(limits.tree_processes * _ENTRIES_PER_PROCESS, _MOST_ENTRIES)))
    _write(path / "cgroup.procs", "0")


def kill(group: str) -> None:
    """Kill everything in a group, in one step of the kernel; without effect before Linux 5.14."""
    with contextlib.suppress(OSError):
        _write(Path(group) / "cgroup.kill", "1")


def use_of(group: str) -> GroupUse | None:
    """Return what the kernel has counted in a group; None if the group was not made."""
    path = Path(group)
    if not path.exists():
        return None
    # `oom_kill` also counts what the kernel killed here because the machine, or a group above, had no memory left.
    own_limit_reached = _count(path / "memory.events", "oom") > 0
    return GroupUse(
        memory_kills=_count(path / "memory.events", "oom_kill") if own_limit_reached else 0,
        memory_peak=_number(path / "memory.peak") or _number(path / "memory.max"),
        refused_forks=_count(path / "pids.events", "max"),
        entries=_number(path / "pids.max"),
    )


def remove(group: str) -> None:
    """Remove a group; without effect while something lives in it."""
    with contextlib.suppress(OSError):
        Path(group).rmdir()


def _problem(path: Path) -> str:
    """Return why groups cannot be made under a path; empty if nothing speaks against it."""
    if not (path / "cgroup.controllers").exists():
        return f"{path} is not a control group of version 2"
    if not os.access(path, os.W_OK):
        return f"{path} is not writable"
    try:
        if (path / "cgroup.procs").read_text():
            return f"{path} has processes of its own; move them to a group below it"
    except OSError as error:
        return f"{path} cannot be used ({error.strerror})"
    # Who moves a process must be allowed to write where the ways to its old and its new group part.
    common = _common_ancestor(path)
    if not os.access(common / "cgroup.procs", os.W_OK):
        return f"this process runs outside of {path}, and may not move others into it ({common} is not writable)"
    return ""


def _common_ancestor(path: Path) -> Path:
    path = top = path.resolve()
    while (top.parent / "cgroup.procs").exists():
        top = top.parent
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((group.removeprefix("0::") for group in groups if group.startswith("0::")), "/")
    return Path(os.path.commonpath([path, os.path.normpath(f"{top}{own}")]))


def _switch_on(path: Path, controller: str) -> str:
    """Have the groups under a path use a controller; return why that cannot be done, empty if it is."""
    try:
        if controller not in (path / "cgroup.controllers").read_text().split():
            return f"{path} has no {controller} controller"
        _write(path / "cgroup.subtree_control", f"+{controller}")
    except OSError as error:
        return f"the {controller} controller cannot be switched on in {path} ({error.strerror})"
    return ""


def _remove_leftovers(path: Path) -> None:
    """Remove the empty groups of hosts that are gone; one that a host of another namespace is making may be among them.

    That costs the process that was to enter it this fence, and leaves it the others.
    """
    for group in path.glob("subactors-*"):
        found = _NAME.fullmatch(group.name)
        if found and not Path("/proc", found[1]).exists():
            remove(str(group))


def _write(path: Path, text: str) -> None:
    # Not `write_text`, which would try to make a file that is missing, and be told that it may not.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _count(path: Path, name: str) -> int:
    """Return a counter of a file with one a line; 0 if it is not there."""
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _number(path: Path) -> int:
    """Return the number in a file; 0 if there is none."""
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return 0
