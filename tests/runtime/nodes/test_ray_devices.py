"""GPUs that tasks book of a Ray cluster: each gets those of its booking. Ray believes in GPUs that it is told of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from processes_and_waits import wait_until
from ray_clusters import PATIENCE, RayCluster, said
from subactors.runtime import Runtime

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def holding(**resources: Any) -> dict[str, Any]:
    return {"entrypoint": "node_entrypoints:holds_devices", "resources": resources, "place": "lab"}


TEAM: dict[str, Any] = {
    "agents": {
        "one": holding(gpu=1),
        "half": holding(gpu=0.5),
        "two": holding(gpu=2),
        "none": holding(custom={"here": 1}),
    }
}


@pytest.fixture(scope="module")
def runtime(ray_head: RayCluster) -> Iterator[Runtime]:
    """A runtime with a node of two GPUs, those that its machine calls 4 and 6."""
    ray_head.has()
    ray_head.do("add", "gpus", num_gpus=2, resources={"here": 1}, env_vars={"CUDA_VISIBLE_DEVICES": "4,6"})
    place = ray_head.place
    with Runtime.from_mapping(TEAM, stop_grace=0.5, standby=0, places=(place,), place=place.name) as runtime:
        wait_until(lambda: [node.state for node in runtime.nodes()] == ["serving"] * 2, "both serve", limit=PATIENCE)
        yield runtime


def devices(runtime: Runtime, task: str) -> str:
    return said(runtime, task).strip()


def test_tasks_beside_each_other_use_different_devices_and_get_them_anew_when_one_has_ended(runtime: Runtime) -> None:
    first, second = (runtime.run("one", "go").id for _ in range(2))
    assert {devices(runtime, first), devices(runtime, second)} == {"4", "6"}
    third = runtime.run("one", "go").id
    waiting = "waiting for a node of place lab: no node has 1 GPU free"
    wait_until(lambda: runtime.view(third).doing == waiting, "it waits", limit=PATIENCE)
    freed = devices(runtime, first)

    runtime.stop(first)

    assert devices(runtime, third) == freed
    runtime.stop([second, third])


def test_a_task_may_use_several_devices_and_two_may_share_one(runtime: Runtime) -> None:
    both = runtime.run("two", "go").id
    assert set(devices(runtime, both).split(",")) == {"4", "6"}
    runtime.stop(both)

    halves = [runtime.run("half", "go").id for _ in range(2)]

    assert len({devices(runtime, half) for half in halves}) == 1
    runtime.stop(halves)


def test_a_task_that_books_none_sees_what_the_node_says(runtime: Runtime) -> None:
    task = runtime.run("none", "go").id

    assert devices(runtime, task) == "4,6"
    runtime.stop(task)
