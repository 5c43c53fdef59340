"""Control groups: what happens in a tree that may be written in, and without one.

The tests make a group of their own, below the one that `SUBACTORS_CGROUP` names or else below that of this process.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cgroup_entrypoints import Holder
from process_listeners import Listener
from processes_and_waits import is_gone, look_at, wait_until
from run_folders import host
from subactors.actors import CgroupTree, ProcessExit, ProcessLimits, ProcessSystem
from subactors.actors.linux import cgroup as cgroups
from subactors.runtime import Runtime
from subactors.runtime.cli.doctor import examine
from subactors.runtime.cli.means import Finding
from teams import PATIENCE, run_and_wait, speaking


def grouped(function: str, **limits: Any) -> dict[str, Any]:
    """An agent that is a function of `cgroup_entrypoints`, with limits."""
    return {"entrypoint": f"cgroup_entrypoints:{function}", "limits": limits}


TEAM: dict[str, Any] = {
    "agents": {
        "free": grouped("tells_its_group", cpu=60),
        "limited": grouped("tells_its_group", memory="1GB"),
        "limited otherwise": grouped("tells_its_group", processes=10),
        "hardly limited": grouped("tells_its_group", memory="1000GB", processes=10**9),
        "daemon": grouped("leaves_a_daemon", processes=10),
        "echo": {"entrypoint": "entrypoints:echo"},
        "waits": {"entrypoint": "entrypoints:waits_for_file", "limits": {"memory": "1GB"}},
        "memory of a tree": {"entrypoint": "greedy_entrypoints:has_others_allocate", "limits": {"memory": "150MB"}},
        "shared memory": grouped("shares_memory", memory="50MB"),
        "forks": grouped("forks_without_end", processes=2),
    }
}

_HOST = """\
import sys
from processes_and_waits import wait_until
from subactors.runtime import Runtime

team = {"agents": {"daemon": {"entrypoint": "cgroup_entrypoints:leaves_a_daemon", "limits": {"processes": 10}}}}
runtime = Runtime.from_mapping(team, state_dir=sys.argv[1])
task = runtime.run("daemon", "go")
wait_until(lambda: runtime.view(task).output, "the task has said something", limit=30)
print(runtime.view(task).output.strip(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def base() -> Path:
    """The group below which tests may make theirs."""
    named = os.environ.get("SUBACTORS_CGROUP")
    if named:
        base = Path(named)
        CgroupTree.find()  # switches the controllers on
    else:
        mounts = [line.partition(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        mounted = [first.split()[4] for first, _, rest in mounts if rest.startswith("cgroup2 ")]
        if not mounted:
            pytest.skip("no control groups of version 2 are mounted here")
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        own = next(group.removeprefix("0::/") for group in groups if group.startswith("0::"))
        base = Path(mounted[0], own)
    probe = base / f"tests-{secrets.token_hex(4)}"
    try:
        probe.mkdir()
    except OSError as error:
        pytest.skip(f"this user can make no control group in {base} ({error.strerror})")
    probe.rmdir()
    return base


@pytest.fixture
def tree(base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A delegated group that the environment names; nothing may be left in it."""
    path = base / f"tests-{secrets.token_hex(4)}"
    path.mkdir()
    monkeypatch.setenv("SUBACTORS_CGROUP", str(path))
    yield path
    left = groups_in(path)
    for name in left:
        cgroups.kill(str(path / name))
        wait_until(lambda name=name: not (path / name / "cgroup.procs").read_text(), "it is empty")
        (path / name).rmdir()
    path.rmdir()
    assert left == []


@pytest.fixture
def runtime(tree: Path) -> Iterator[Runtime]:
    """A runtime that has the tree."""
    del tree  # it is found by the variable
    with Runtime.from_mapping(TEAM, stop_grace=0.3) as runtime:
        yield runtime


def groups_in(path: Path) -> list[str]:
    """The names of the groups below one."""
    return [entry.name for entry in path.iterdir() if entry.is_dir()]


@pytest.fixture
def memory(tree: Path) -> None:
    """For tests that need the controller of memory."""
    _require(tree, "memory")


@pytest.fixture
def pids(tree: Path) -> None:
    """For tests that need the controller of processes."""
    _require(tree, "pids")


def _require(tree: Path, controller: str) -> None:
    if controller not in (tree / "cgroup.controllers").read_text().split():
        pytest.skip(f"control groups of version 2 have no {controller} controller here")


# --- which tree -----------------------------------------------------------------------------------------------------


def control_groups() -> Finding:
    """What doctor says of them."""
    return next(finding for finding in examine() if finding.what == "control groups")


def test_without_the_variable_there_is_no_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUBACTORS_CGROUP", raising=False)

    assert CgroupTree.find() is None
    assert control_groups() == Finding(
        "control groups",
        "--",
        "not used, as SUBACTORS_CGROUP names none that this user may divide; the limits above hold without",
    )


@pytest.mark.parametrize("name", ["", "missing", "file"])
def test_a_folder_that_is_no_control_group_is_no_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SUBACTORS_CGROUP", str(tmp_path / name))

    why = f"not used: {tmp_path / name} is not a control group of version 2"
    assert control_groups() == Finding("control groups", "!!", why)


def test_where_the_tree_is_wrong_limits_are_held_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SUBACTORS_CGROUP", str(tmp_path))

    with Runtime.from_mapping(TEAM, stop_grace=0.3) as runtime:
        views = [run_and_wait(runtime, "memory of a tree"), run_and_wait(runtime, "limited")]

    assert [view.status for view in views] == ["failed", "completed"]
    assert views[0].reason.startswith("The limit memory of 150 MB was reached: its tree used ")
    assert caplog.messages == [f"No control groups are used: {tmp_path} is not a control group of version 2."]


def test_a_group_with_processes_of_its_own_is_no_tree(tree: Path) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as program:
        (tree / "cgroup.procs").write_text(str(program.pid))
        found = CgroupTree.find()
        program.kill()
    wait_until(lambda: not (tree / "cgroup.procs").read_text(), "the process has left")

    assert found is not None
    assert found.problem == f"{tree} has processes of its own; move them to a group below it"


def test_a_tree_is_tried_out_and_says_which_limits_it_can_hold(tree: Path) -> None:
    controllers = (tree / "cgroup.controllers").read_text().split()

    found = CgroupTree.find()

    assert found == CgroupTree(
        tree,
        no_memory="" if "memory" in controllers else f"{tree} has no memory controller",
        no_processes="" if "pids" in controllers else f"{tree} has no pids controller",
    )
    assert groups_in(tree) == []


def test_doctor_says_which_limits_groups_hold_and_what_is_missing(tree: Path) -> None:
    controllers = (tree / "cgroup.controllers").read_text().split()
    missing = [name for name in ("memory", "pids") if name not in controllers]

    findings = {finding.what: finding for finding in examine()}

    assert (findings["control groups"].state == "ok") == (not missing)
    assert findings["control groups"].how == "; ".join(
        [
            f"one for each task with a limit on memory or processes, under {tree}",
            *(f"{tree} has no {name} controller" for name in missing),
        ]
    )
    assert ("memory.max" in findings["limit memory"].how) == ("memory" in controllers)
    assert ("pids.max" in findings["limit processes"].how) == ("pids" in controllers)


def test_empty_groups_of_hosts_that_are_gone_are_removed_and_no_others(tree: Path) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as program:
        program.wait()
    mine, other = f"subactors-{os.getpid()}-0a", "somebody-else"
    gone, inhabited = f"subactors-{program.pid}-0a", f"subactors-{program.pid}-0b"
    for name in (mine, other, gone, inhabited):
        (tree / name).mkdir()

    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as program:
        (tree / inhabited / "cgroup.procs").write_text(str(program.pid))
        CgroupTree.find()
        left = groups_in(tree)
        program.kill()
    wait_until(lambda: not (tree / inhabited / "cgroup.procs").read_text(), "the process has left")
    for name in left:
        (tree / name).rmdir()

    assert sorted(left) == sorted([mine, other, inhabited])


# --- what is in a group ---------------------------------------------------------------------------------------------


def test_a_group_is_killed_whole_and_then_removed(tree: Path) -> None:
    group = str(tree / "subactors-1-0a")
    code = f"""\
import subprocess, sys
from subactors.actors import ProcessLimits
from subactors.actors.linux import cgroup as _cgroup
_cgroup.enter({group!r}, ProcessLimits(tree_bytes=10**9, tree_processes=5))
print(subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL).pid, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        daemon = int(program.stdout.readline())
        assert not is_gone(daemon)
        cgroups.remove(group)  # without effect
        cgroups.kill(group)
        assert program.wait() == -signal.SIGKILL
    wait_until(lambda: is_gone(daemon), "the daemon is gone")
    wait_until(lambda: not Path(group, "cgroup.procs").read_text(), "the group is empty")
    cgroups.remove(group)

    assert not Path(group).exists()


def test_a_group_that_cannot_be_made_is_an_error(tree: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cgroups.enter(str(tree / "missing" / "subactors-1-0a"), ProcessLimits(tree_bytes=1))

    assert cgroups.use_of(str(tree / "missing" / "subactors-1-0a")) is None


@pytest.mark.parametrize("agent", ["limited", "limited otherwise", "hardly limited"])
def test_a_task_with_a_limit_for_its_tree_is_in_a_group_of_its_own(runtime: Runtime, agent: str) -> None:
    views = [run_and_wait(runtime, agent) for _ in range(2)]

    results = [view.result for view in views]
    assert all(isinstance(result, dict) for result in results)
    names = {result["group"] for result in results}
    assert len(names) == 2
    assert all(name.startswith(f"subactors-{os.getpid()}-") for name in names)
    assert [result["variable"] for result in results] == [None, None]  # hosts in it shall not go beside it


def test_a_task_without_such_a_limit_stays_where_it_is(runtime: Runtime, tree: Path) -> None:
    view = run_and_wait(runtime, "free")

    own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    assert view.result == {"group": own.rpartition("/")[2], "variable": str(tree)}


def test_the_group_of_a_task_that_has_ended_is_gone_with_all_that_was_in_it(runtime: Runtime, tree: Path) -> None:
    task_id = speaking(runtime, "daemon")
    daemon = int(runtime.view(task_id).output)
    assert len(groups_in(tree)) == 1

    runtime.stop(task_id)

    assert is_gone(daemon)
    assert groups_in(tree) == []


def test_a_task_whose_group_cannot_be_made_any_more_runs_without(tree: Path) -> None:
    with Runtime.from_mapping(TEAM, stop_grace=0.3) as runtime:
        run_and_wait(runtime, "limited")
        tree.rmdir()
        view = run_and_wait(runtime, "memory of a tree")
        tree.mkdir()

    assert view.reason.startswith("The limit memory of 150 MB was reached: its tree used ")


def test_daemons_of_a_task_end_when_its_zygote_is_killed(runtime: Runtime, tree: Path) -> None:
    task_id = speaking(runtime, "daemon")
    (group,) = groups_in(tree)
    daemon = int(runtime.view(task_id).output)
    processes = map(int, (tree / group / "cgroup.procs").read_text().split())
    task = next(pid for pid in processes if pid != daemon)

    os.kill(parent_of(task), signal.SIGKILL)
    (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert view.status == "failed"
    wait_until(lambda: is_gone(daemon), "the daemon is gone", limit=PATIENCE)
    wait_until(lambda: not _in(tree, group), "its group is empty, or gone")
    cgroups.remove(str(tree / group))


def _in(tree: Path, group: str) -> str:
    try:
        return (tree / group / "cgroup.procs").read_text()
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    """The id of a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_groups_and_daemons_end_with_a_host_that_is_killed(tree: Path, tmp_path: Path) -> None:
    with host(tmp_path, _HOST) as killed:
        daemon = int(killed.run.name)
        assert look_at(daemon) is not None
        assert len(groups_in(tree)) == 1
        killed.kill()

    wait_until(lambda: is_gone(daemon), "the daemon is gone", limit=PATIENCE)
    wait_until(lambda: not groups_in(tree), "its group is gone", limit=PATIENCE)


# --- what the kernel holds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("agent", "limit"), [("memory of a tree", 150), ("shared memory", 50)])
@pytest.mark.usefixtures("memory")
def test_a_tree_beyond_its_memory_is_killed_whole_with_a_reason_and_no_other(
    runtime: Runtime, tree: Path, tmp_path: Path, agent: str, limit: int
) -> None:
    sibling = speaking(runtime, "waits", str(tmp_path / "end"))

    view = run_and_wait(runtime, agent)

    assert (view.status, view.output) == ("failed", "so far ")
    beginning = f"The limit memory of {limit} MB was reached: its tree used "
    assert view.reason.startswith(beginning)
    assert limit * 0.95 <= float(view.reason.removeprefix(beginning).removesuffix(" MB."))
    assert len(groups_in(tree)) == 1  # the sibling's
    (tmp_path / "end").touch()
    (ended,) = runtime.wait([sibling], timeout=PATIENCE)
    assert (ended.status, ended.result) == ("completed", "the file is there")


@pytest.mark.usefixtures("memory")
def test_nobody_has_to_look_for_a_tree_beyond_its_memory_to_be_killed_whole(tree: Path) -> None:
    system = ProcessSystem()
    listener = Listener()
    process = system.spawn(Holder, listener=listener, limits=ProcessLimits(tree_bytes=100_000_000))
    process.ready.result(PATIENCE)

    listener.reference.proxy().spread(3, 40_000_000)
    end: ProcessExit = listener.wait_for("ended")
    system.close()

    assert (end.signal, end.killed) == (signal.SIGKILL, False)
    assert end.group is not None
    assert end.group.memory_kills >= 2
    assert 95_000_000 <= end.group.memory_peak <= 100_000_000
    assert groups_in(tree) == []


@pytest.mark.usefixtures("pids")
def test_a_tree_that_forks_without_end_stays_bounded_and_is_ended_with_a_reason(runtime: Runtime, tree: Path) -> None:
    view = run_and_wait(runtime, "forks")

    assert (view.status, view.output) == ("failed", "so far ")
    assert view.reason.startswith("The limit processes of 2 was reached: its tree had ")
    assert groups_in(tree) == []
