"""Tasks on the nodes of a Ray cluster: what they have there, and what they may wait for. A real Ray, on this machine.

What every task has is tested by the tests that have the fixture `place`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes_and_waits import descendants_of, wait_until
from ray_clusters import (
    PATIENCE,
    RayCluster,
    ended,
    needs_ray,
    opened,
    raylet_of,
    said,
    states,
    workers_of,
)
from subactors.runtime import Runtime
from subactors.runtime.errors import RequirementError
from subactors.runtime.nodes.ray import require
from subactors.runtime.team.places import RayPlace

pytestmark = pytest.mark.timeout(300)
"""Ray takes seconds for most, and much longer on busy cores."""


@pytest.fixture(scope="module")
def calm(ray_head: RayCluster) -> Iterator[Runtime]:
    """The same for tests that do nothing to it; its cluster is that which the environment names."""
    cluster = ray_head
    cluster.has("second")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", cluster.address)
        with opened(RayPlace(name="lab")) as runtime:
            serving = {"first": "serving", "second": "serving"}
            wait_until(lambda: states(runtime) == serving, "both serve", limit=PATIENCE)
            ended(runtime, runtime.run("report", "warm up"))
            yield runtime


# --- how tasks live there -------------------------------------------------------------------------------------------


def test_a_task_runs_below_the_agent_of_a_node_and_sees_nothing_of_ray(calm: Runtime) -> None:
    view = ended(calm, calm.run("report", "hello"))

    assert (view.status, view.result["text"]) == ("completed", "hello")
    environ = view.result["environ"]
    assert [name for name in environ if name.startswith("RAY_")] == []
    assert {"PYTHONBREAKPOINT", "OMP_NUM_THREADS"} & environ.keys() - os.environ.keys() == set()


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


def test_a_token_is_in_no_file_of_ray_and_in_no_argument(calm: Runtime, cluster: RayCluster) -> None:
    places = calm._host._places
    assert places is not None
    tokens = [link._handshake._token.hex() for link in places._others["lab"]._roster.links.values()]

    logs = [path for path in Path(cluster.do("logs", "first")).rglob("*") if path.is_file()]
    arguments = [Path(f"/proc/{each.pid}/cmdline").read_text() for each in descendants_of(os.getpid())]
    assert len(tokens) == len(states(calm))
    for token in tokens:
        assert not any(token in path.read_text(errors="replace") for path in logs)
        assert not any(token in line for line in arguments)


# --- resources ------------------------------------------------------------------------------------------------------


def test_resources_are_booked_of_one_node_for_as_long_as_a_task_runs(calm: Runtime) -> None:
    def doing(task: str) -> str:
        return calm.view(task).doing

    first, second = [calm.run("wide", "go").id for _ in range(2)]
    said(calm, first)
    said(calm, second)
    assert {calm.view(first).node, calm.view(second).node} == {"first", "second"}

    third, never = calm.run("wide", "go").id, calm.run("impossible", "go").id
    wait_until(
        lambda: doing(third) == "waiting for a node of place lab: no node has 2 CPU free", "it waits", limit=PATIENCE
    )
    wait_until(
        lambda: doing(never) == "waiting for a node of place lab: no node has 1 GPU, 2 fpga", "it waits", limit=PATIENCE
    )

    calm.stop(second)
    said(calm, third)
    assert calm.view(third).node == calm.view(second).node
    assert {view.status for view in calm.stop([first, third, never])} == {"stopped"}


# --- what cannot be had ---------------------------------------------------------------------------------------------


def test_the_address_of_a_ray_client_is_refused_with_the_remedy() -> None:
    with pytest.raises(RequirementError, match="ray job submit"):
        require(RayPlace(name="lab", address="ray://head:10001"))


def test_a_host_without_ray_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find_spec(name))
    with pytest.raises(RequirementError, match=r"pip install 'subactors\[ray\]'"):
        opened(RayPlace(name="lab"))


def test_a_task_of_a_place_without_a_cluster_has_failed_and_says_what_to_do() -> None:
    needs_ray()
    with opened(RayPlace(name="lab", address="127.0.0.1:9")) as runtime:
        view = ended(runtime, runtime.run("report", "hello"))

    assert view.status == "failed"
    assert "The Ray cluster at 127.0.0.1:9 cannot be connected to: [Errno 111] Connection refused." in view.reason
    assert "ray start --address" in view.reason
