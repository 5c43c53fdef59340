"""Tasks on the nodes of a Ray cluster, and what becomes of them: two nodes on this machine, with a real Ray.

What every task has is tested by the tests that have the fixture `place`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes_and_waits import descendants_of, is_gone, wait_until
from ray_clusters import RayCluster, needs_ray
from subactors.runtime import Runtime, TaskView
from subactors.runtime.errors import RequirementError
from subactors.runtime.nodes.ray import RayLauncher, require
from subactors.runtime.team.places import RayPlace, Resources

PATIENCE = 60.0


pytestmark = pytest.mark.timeout(300)
"""Ray takes seconds for most, and much longer on busy cores."""


def needs_cluster(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs a cluster, which takes half a minute."""
    return needs_ray(pytest.mark.slow(test))


TEAM: dict[str, Any] = {
    "agents": {
        "daemon": {"entrypoint": "node_entrypoints:leaves_a_daemon"},
        "report": {"entrypoint": "entrypoints:report"},
        "again": {
            "entrypoint": "node_entrypoints:once_then_waits",
            "restart": {"policy": "transient", "max_restarts": 1, "backoff": 0.01},
        },
    }
}


def opened(place: RayPlace, **settings: Any) -> Runtime:
    return Runtime.from_mapping(TEAM, stop_grace=0.5, standby=0, places=(place,), place=place.name, **settings)


@pytest.fixture
def runtime(cluster: RayCluster) -> Iterator[Runtime]:
    """A runtime with two nodes that serve."""
    with opened(cluster.place) as runtime:
        wait_until(lambda: states(runtime) == {"first": "serving", "second": "serving"}, "both serve", limit=PATIENCE)
        yield runtime


@pytest.fixture(scope="module")
def calm(cluster: RayCluster) -> Iterator[Runtime]:
    """The same for tests that do nothing to it; its cluster is that which the environment names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", cluster.address)
        with opened(RayPlace(name="lab")) as runtime:
            serving = {"first": "serving", "second": "serving"}
            wait_until(lambda: states(runtime) == serving, "both serve", limit=PATIENCE)
            ended(runtime, runtime.run("report", "warm up"))
            yield runtime


def states(runtime: Runtime) -> dict[str, str]:
    return {node.name: node.state for node in runtime.nodes()}


def ended(runtime: Runtime, task_id: str) -> TaskView:
    return runtime.wait([task_id], timeout=PATIENCE)[0]


def said(runtime: Runtime, task_id: str) -> str:
    wait_until(lambda: "\n" in runtime.view(task_id).output, "it says so", limit=PATIENCE)
    return runtime.view(task_id).output


def raylet_of(cluster: RayCluster, name: str) -> psutil.Process:
    return psutil.Process(int(cluster.do("pid", name)))


def workers_of(cluster: RayCluster, name: str) -> list[psutil.Process]:
    """The Ray workers that have started agents on a node."""
    return [child for child in raylet_of(cluster, name).children() if child.name() == "ray::RayStarter"]


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


# --- how tasks live there -------------------------------------------------------------------------------------------


@needs_cluster
def test_a_task_runs_below_the_agent_of_a_node_and_sees_nothing_of_ray(calm: Runtime) -> None:
    view = ended(calm, calm.run("report", "hello"))

    assert (view.status, view.result["text"]) == ("completed", "hello")
    environ = view.result["environ"]
    assert [name for name in environ if name.startswith("RAY_")] == []
    assert {"PYTHONBREAKPOINT", "OMP_NUM_THREADS"} & environ.keys() - os.environ.keys() == set()


@needs_cluster
def test_an_agent_is_no_child_of_ray_and_as_likely_to_be_ended_for_memory_as_the_raylet(
    calm: Runtime, cluster: RayCluster
) -> None:
    agents = [each.pid for each in descendants_of(os.getpid()) if each.name == "subactors-node"]

    for name in states(calm):
        for worker in workers_of(cluster, name):
            assert worker.children() == []
    scores = {Path(f"/proc/{pid}/oom_score_adj").read_text() for pid in agents}
    assert scores == {Path(f"/proc/{raylet_of(cluster, 'first').pid}/oom_score_adj").read_text()}
    for pid in agents:
        masks = dict(
            line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert int(masks["SigBlk"], 16) == 0


@needs_cluster
def test_a_token_is_in_no_file_of_ray_and_in_no_argument(calm: Runtime, cluster: RayCluster) -> None:
    places = calm._host._places
    assert places is not None
    tokens = [link._token.hex() for link in places._others["lab"]._links.values()]

    logs = [path for path in Path(cluster.do("logs", "first")).rglob("*") if path.is_file()]
    arguments = [Path(f"/proc/{each.pid}/cmdline").read_text() for each in descendants_of(os.getpid())]
    assert len(tokens) == len(states(calm))
    for token in tokens:
        assert not any(token in path.read_text(errors="replace") for path in logs)
        assert not any(token in line for line in arguments)


# --- what becomes of nodes ------------------------------------------------------------------------------------------


def kill_worker(cluster: RayCluster) -> None:
    for worker in workers_of(cluster, "second"):
        worker.kill()


FAULTS: dict[str, Callable[[RayCluster], object]] = {
    "worker": kill_worker,
    "raylet": lambda cluster: cluster.do("kill", "second"),
    "removed": lambda cluster: cluster.do("remove", "second"),
}


@needs_cluster
@pytest.mark.parametrize("fault", FAULTS)
def test_a_node_that_goes_ends_its_tasks_once_and_leaves_nothing(
    runtime: Runtime, cluster: RayCluster, fault: str
) -> None:
    pair = Pair(runtime)
    try:
        FAULTS[fault](cluster)
        view = ended(runtime, pair.goes)

        assert (view.status, view.reason) == ("failed", "Node second was lost (it closed its connection).")
        wait_until(lambda: all(map(is_gone, pair.pids)), "nothing of it is left", limit=PATIENCE)
        assert runtime.view(pair.stays).status == "running"
        assert not any(map(is_gone, pair.left))
        assert ended(runtime, runtime.run("report", "hello")).status == "completed"
    finally:
        if fault != "worker":
            cluster.do("add", "second")


@needs_cluster
def test_ray_says_why_a_node_is_lost(runtime: Runtime, cluster: RayCluster) -> None:
    kill_worker(cluster)

    def why() -> str:
        return str(next(node.why for node in runtime.nodes() if node.name == "second"))

    wait_until(lambda: "its Ray actor has ended" in why(), "Ray has said so", limit=PATIENCE)


@needs_cluster
def test_a_driver_that_is_killed_ends_all_tasks_there_and_another_comes(runtime: Runtime) -> None:
    pair = Pair(runtime)
    (driver,) = [each.pid for each in descendants_of(os.getpid()) if each.name == "subactors-ray"]
    os.kill(driver, signal.SIGKILL)

    views = [ended(runtime, task) for task in (pair.stays, pair.goes)]

    assert {view.status for view in views} == {"failed"}
    assert all(view.reason.startswith("Node ") for view in views)
    wait_until(lambda: all(map(is_gone, pair.pids + pair.left)), "nothing of them is left", limit=PATIENCE)
    assert ended(runtime, runtime.run("report", "hello")).status == "completed"


@needs_cluster
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
        cluster.do("add", "second")


HOST = """
import json, sys
from subactors.runtime import Runtime
from subactors.runtime.nodes.ray import RayLauncher, require
from subactors.runtime.team.places import RayPlace, Resources
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


@needs_cluster
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
from subactors.runtime.nodes.ray import RayLauncher, require
from subactors.runtime.team.places import RayPlace, Resources
team, address = json.loads(sys.argv[1])
ray.init(address=address, log_to_driver=False, configure_logging=False)
with Runtime.from_mapping(team, standby=0, places=(RayPlace(name="lab"),), place="lab") as runtime:
    (view,) = runtime.wait([runtime.run("report", "hello")])
    print(view.status, view.reason, flush=True)
print(ray.is_initialized(), ray.get(ray.put("still there")), flush=True)
ray.shutdown()
"""


@needs_cluster
def test_a_program_that_has_initialised_ray_gets_that_cluster_and_keeps_its_connection(cluster: RayCluster) -> None:
    with program(USES_RAY, cluster.address) as host:
        said, _ = host.communicate(timeout=PATIENCE)

    assert said.split("\n")[:2] == ["completed ", "True still there"]


# --- resources ------------------------------------------------------------------------------------------------------


class Booking:
    """What a launcher tells of a booking."""

    def __init__(self, launcher: RayLauncher, resources: Resources) -> None:
        self.nodes: list[str] = []
        self.reasons: list[str] = []
        self.key = launcher.book(resources, self.nodes.append, self.reasons.append)


@needs_cluster
def test_resources_are_booked_of_one_node_for_as_long_as_a_task_has_them(calm: Runtime) -> None:
    places = calm._host._places
    assert places is not None
    launcher = places._others["lab"]._launcher
    assert isinstance(launcher, RayLauncher)
    first, second = Booking(launcher, Resources(cpu=2)), Booking(launcher, Resources(cpu=2, memory=1_000_000))
    wait_until(lambda: first.nodes and second.nodes, "both are booked", limit=PATIENCE)
    assert sorted(first.nodes + second.nodes) == ["first", "second"]

    third, never = Booking(launcher, Resources(cpu=1)), Booking(launcher, Resources(gpu=1, custom={"fpga": 2}))
    wait_until(lambda: third.reasons and never.reasons, "the others wait", limit=PATIENCE)
    assert third.reasons == ["no node has 1 CPU free"]
    assert never.reasons == ["no node has 1 GPU, 2 fpga"]

    launcher.unbook(second.key)
    wait_until(lambda: third.nodes, "the third has what the second had", limit=PATIENCE)
    assert third.nodes == second.nodes
    for booking in (first, third, never):
        launcher.unbook(booking.key)


# --- what cannot be had ---------------------------------------------------------------------------------------------


@needs_ray
def test_the_address_of_a_ray_client_is_refused_with_the_remedy() -> None:
    with pytest.raises(RequirementError, match="ray job submit"):
        require(RayPlace(name="lab", address="ray://head:10001"))


def test_a_host_without_ray_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find_spec(name))
    with pytest.raises(RequirementError, match=r"pip install 'subactors\[ray\]'"):
        opened(RayPlace(name="lab"))


@needs_ray
def test_a_task_of_a_place_without_a_cluster_has_failed_and_says_what_to_do() -> None:
    with opened(RayPlace(name="lab", address="127.0.0.1:9")) as runtime:
        view = ended(runtime, runtime.run("report", "hello"))

    assert view.status == "failed"
    assert "The Ray cluster at 127.0.0.1:9 cannot be connected to: [Errno 111] Connection refused." in view.reason
    assert "ray start --address" in view.reason
