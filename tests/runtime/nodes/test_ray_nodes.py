"""What becomes of the nodes of a Ray cluster, and of their tasks: two nodes on this machine, with a real Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest
from processes_and_waits import descendants_of, is_gone, wait_until
from ray_clusters import PATIENCE, TEAM, RayCluster, ended, opened, ray_cluster, raylet_of, said, states, workers_of
from subactors.runtime import Runtime
from subactors.runtime.nodes import ray

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
"""Ray takes seconds for most, and much longer on busy cores."""


@pytest.fixture
def runtime(cluster: RayCluster) -> Iterator[Runtime]:
    """A runtime with two nodes that serve."""
    with opened(cluster.place) as runtime:
        wait_until(lambda: states(runtime) == {"first": "serving", "second": "serving"}, "both serve", limit=PATIENCE)
        yield runtime


class Pair:
    """Two tasks with daemons, one on each node.

    Attributes:
        stays: the task on the first node.
        goes: that on the second, to which something is done.
        pids: what runs of the second.
        left: what runs of the first.
    """

    def __init__(self, runtime: Runtime) -> None:
        tasks = [runtime.run("daemon", "go").id for _ in range(2)]
        pids = {task: [int(pid) for pid in said(runtime, task).split()] for task in tasks}
        where = {runtime.view(task).node: task for task in tasks}
        self.stays, self.goes = where["first"], where["second"]
        self.left, self.pids = pids[self.stays], pids[self.goes]


# --- what becomes of nodes ------------------------------------------------------------------------------------------


def kill_worker(cluster: RayCluster) -> None:
    for worker in workers_of(cluster, "second"):
        worker.kill()


FAULTS: dict[str, Callable[[RayCluster], object]] = {
    "worker": kill_worker,
    "raylet": lambda cluster: cluster.do("kill", "second"),
    "removed": lambda cluster: cluster.do("remove", "second"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_node_that_goes_ends_its_tasks_once_and_leaves_nothing(
    runtime: Runtime, cluster: RayCluster, fault: str
) -> None:
    pair = Pair(runtime)
    FAULTS[fault](cluster)
    view = ended(runtime, pair.goes)

    assert view.status == "failed"
    # One that is shut down in order is told of by Ray, too, perhaps before its processes have ended.
    assert view.reason in {
        "Node second was lost (the process that started it has ended).",
        "Node second was lost (Ray says that it is gone: received SIGTERM).",
    }
    wait_until(lambda: all(map(is_gone, pair.pids)), "nothing of it is left", limit=PATIENCE)
    assert runtime.view(pair.stays).status == "running"
    assert not any(map(is_gone, pair.left))
    assert ended(runtime, runtime.run("report", "hello")).status == "completed"


def test_ray_says_why_a_node_is_lost(runtime: Runtime, cluster: RayCluster) -> None:
    kill_worker(cluster)

    def why() -> str:
        return str(next(node.why for node in runtime.nodes() if node.name == "second"))

    wait_until(lambda: "its Ray actor has ended" in why(), "Ray has said so", limit=PATIENCE)


def test_a_starter_that_is_frozen_holds_up_neither_tasks_nor_the_end(cluster: RayCluster) -> None:
    with opened(cluster.place) as runtime:
        wait_until(lambda: states(runtime) == {"first": "serving", "second": "serving"}, "both serve", limit=PATIENCE)
        starters = workers_of(cluster, "second")
        for starter in starters:
            starter.suspend()

        pair = Pair(runtime)
        assert {view.status for view in runtime.stop([pair.stays, pair.goes])} == {"stopped"}

    wait_until(lambda: not any(map(psutil.Process.is_running, starters)), "Ray has ended it", limit=PATIENCE)


def test_a_starter_that_freezes_before_its_agent_is_there_is_given_up_in_words(
    cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "_DRIVER", "hasty_ray_driver")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    with opened(cluster.place) as runtime:
        raylet = raylet_of(cluster, "second")

        def starting() -> list[psutil.Process]:
            return [child for child in raylet.children() if child.name().startswith("ray::RayStarter.")]

        wait_until(starting, "it is being started", limit=PATIENCE)
        for starter in starting():
            starter.suspend()

        words = "Ray has not started its agent within 10 s"
        wait_until(lambda: words in {node.why for node in runtime.nodes()}, "it is given up", limit=PATIENCE)
        assert ended(runtime, runtime.run("report", "hello")).status == "completed"


def test_a_driver_that_is_killed_ends_all_tasks_there_and_another_comes(runtime: Runtime) -> None:
    pair = Pair(runtime)
    (driver,) = [each.pid for each in descendants_of(os.getpid()) if each.name == "subactors-ray"]
    os.kill(driver, signal.SIGKILL)

    views = [ended(runtime, task) for task in (pair.stays, pair.goes)]

    assert {view.status for view in views} == {"failed"}
    assert all(view.reason.startswith("Node ") for view in views)
    wait_until(lambda: all(map(is_gone, pair.pids + pair.left)), "nothing of them is left", limit=PATIENCE)
    assert ended(runtime, runtime.run("report", "hello")).status == "completed"


def test_a_cluster_whose_head_is_killed_works_until_ray_gives_it_up_and_then_ends_its_tasks_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")  # for the driver, too; a minute by default
    with ray_cluster() as cluster, opened(cluster.place) as runtime:
        task = runtime.run("daemon", "go").id
        pids = [int(pid) for pid in said(runtime, task).split()]

        cluster.do("behead", "first")

        assert ended(runtime, runtime.run("report", "hello")).status == "completed"
        view = ended(runtime, task)
        assert (view.status, view.node) == ("failed", "first")
        assert view.reason.startswith("Node first was lost (")
        wait_until(lambda: all(map(is_gone, pids)), "nothing is left", limit=PATIENCE)
        last = ended(runtime, runtime.run("report", "hello"))
        assert (last.status, "cannot be connected to" in last.reason) == ("failed", True)
        assert "first: the head of the Ray cluster does not answer." in last.reason


def test_a_node_that_ray_drains_takes_no_new_task_and_its_tasks_go_on(runtime: Runtime, cluster: RayCluster) -> None:
    pair = Pair(runtime)
    try:
        cluster.do("drain", "second")
        wait_until(lambda: states(runtime)["second"] == "draining", "it is known here", limit=PATIENCE)
        others = [runtime.run("daemon", "go") for _ in range(2)]
        for other in others:
            said(runtime, other)

        assert [runtime.view(other).node for other in others] == ["first", "first"]
        assert runtime.view(pair.goes).status == "running"
    finally:
        cluster.do("kill", "second")


def test_nothing_is_booked_of_a_node_that_is_drained(cluster: RayCluster) -> None:
    with opened(cluster.place) as runtime:
        wait_until(lambda: states(runtime) == {"first": "serving", "second": "serving"}, "both serve", limit=PATIENCE)
        runtime.drain("second")
        first, waits = [runtime.run("wide", "go").id for _ in range(2)]
        said(runtime, first)
        words = "waiting for a node of place lab: no node that is not drained has 2 CPU free"
        wait_until(lambda: runtime.view(waits).doing == words, "it waits", limit=PATIENCE)

        assert runtime.view(first).node == "first"
        runtime.stop(first)
        said(runtime, waits)
        assert runtime.view(waits).node == "first"


def test_what_is_booked_of_a_node_that_gets_no_agent_is_booked_of_another(cluster: RayCluster) -> None:
    cluster.has()
    cluster.do("add", "broken", env_vars={"SUBACTORS_STATE_DIR": "/proc/nothing"})
    with opened(cluster.place) as runtime:
        tasks = [runtime.run("wide", "go").id for _ in range(2)]
        words = "waiting for a node of place lab: no node with an agent has 2 CPU free"
        wait_until(lambda: words in {runtime.view(task).doing for task in tasks}, "one waits", limit=PATIENCE)
        (waits,) = [task for task in tasks if runtime.view(task).doing == words]
        (first,) = {*tasks} - {waits}
        said(runtime, first)
        runtime.stop(first)
        said(runtime, waits)

        assert [runtime.view(task).node for task in tasks] == ["first", "first"]
    cluster.has()


def test_a_task_says_that_every_node_is_drained_and_waits_as_another_may_come(cluster: RayCluster) -> None:
    with opened(cluster.place) as runtime:
        wait_until(lambda: states(runtime) == {"first": "serving", "second": "serving"}, "both serve", limit=PATIENCE)
        for name in ("first", "second"):
            runtime.drain(name)
        tasks = [runtime.run(agent, "go").id for agent in ("report", "wide")]
        words = "waiting for a node of place lab: every node is drained"
        wait_until(lambda: {runtime.view(task).doing for task in tasks} == {words}, "they wait", limit=PATIENCE)

        assert {view.status for view in runtime.stop(tasks)} == {"stopped"}


HOST = """
import json, sys
from subactors.runtime import Runtime
from subactors.runtime.nodes.ray import require
from subactors.runtime.team.places import RayPlace
team, address = json.loads(sys.argv[1])
with Runtime.from_mapping(team, standby=0, places=(RayPlace(name="lab", address=address),), place="lab") as runtime:
    task = runtime.run("daemon", "go")
    while "\\n" not in runtime.view(task).output:
        runtime.wait([task], timeout=0.01)
    print(runtime.view(task).output, end="", flush=True)
    sys.stdin.read()
"""


def program(code: str, address: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps([TEAM, address])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_host_that_is_killed_leaves_nothing(cluster: RayCluster) -> None:
    with program(HOST, cluster.address) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        host.kill()

    assert len(pids) == 2
    wait_until(lambda: all(map(is_gone, pids)), "nothing is left", limit=PATIENCE)


USES_RAY = """
import json, sys, signal
import ray
from subactors.runtime import Runtime
from subactors.runtime.nodes.ray import require
from subactors.runtime.team.places import RayPlace
team, address = json.loads(sys.argv[1])
ray.init(address=address, log_to_driver=False, configure_logging=False)
with Runtime.from_mapping(team, standby=0, places=(RayPlace(name="lab"),), place="lab") as runtime:
    (view,) = runtime.wait([runtime.run("report", "hello")])
    print(view.status, view.reason, flush=True)
print(ray.is_initialized(), ray.get(ray.put("still there")), flush=True)
ray.shutdown()
"""


def test_a_program_that_has_initialised_ray_gets_that_cluster_and_keeps_its_connection(cluster: RayCluster) -> None:
    with program(USES_RAY, cluster.address) as host:
        said, _ = host.communicate(timeout=PATIENCE)

    lines = [line for line in said.splitlines() if "raylet" not in line]  # Ray has its own say, of nodes of before
    assert lines == ["completed ", "True still there"]
