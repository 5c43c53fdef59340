"""Teams whose tasks run on nodes that are reached by ssh, and what tests ask of them."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any

import msgspec
import psutil
from processes_and_waits import descendants_of, wait_until
from subactors.runtime import Runtime, TaskView
from subactors.runtime.team.places import SshPlace
from teams import PATIENCE

AGENTS = (
    "closes_its_connection",
    "leaves_a_daemon",
    "once_then_waits",
    "says_much",
    "tells_where",
    "writes_a_large_result",
)

TEAM: dict[str, Any] = {
    "agents": {
        **{name: {"entrypoint": f"node_entrypoints:{name}"} for name in AGENTS},
        "again": {
            "entrypoint": "node_entrypoints:once_then_waits",
            "restart": {"policy": "transient", "max_restarts": 1, "backoff": 0.01},
        },
        "private": {"entrypoint": "node_entrypoints:tells_where", "workdir": "private"},
    }
}


def opened(place: SshPlace, **settings: Any) -> Runtime:
    return Runtime.from_mapping(TEAM, stop_grace=0.5, standby=0, places=(place,), place=place.name, **settings)


def only(lab: SshPlace, number: int = 0) -> SshPlace:
    """The place with one of its nodes."""
    return msgspec.structs.replace(lab, hosts=(lab.hosts[number],))


def ended(runtime: Runtime, task_id: str) -> TaskView:
    return runtime.wait([task_id], timeout=PATIENCE)[0]


def agents_of_nodes() -> list[psutil.Process]:
    found = [process.pid for process in descendants_of(os.getpid()) if process.name == "subactors-node"]
    return [psutil.Process(pid) for pid in found]


def said(runtime: Runtime, task_id: str, words: str = "\n") -> str:
    wait_until(lambda: words in runtime.view(task_id).output, "it says so", limit=PATIENCE)
    return runtime.view(task_id).output


# --- what a task has there ------------------------------------------------------------------------------------------


def nodes_of(runtime: Runtime) -> Any:
    places = runtime._host._places
    assert places is not None
    nodes: Future[Any] = Future()
    places.nodes(nodes.set_result)
    return nodes.result(PATIENCE)
