"""A Ray cluster for tests, and a place that it is. No Ray is in the test's own process."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime, TaskView
from subactors.runtime.team.places import RayPlace

__all__ = [
    "PATIENCE",
    "TEAM",
    "RayCluster",
    "ended",
    "needs_ray",
    "opened",
    "ray_cluster",
    "raylet_of",
    "said",
    "states",
    "workers_of",
]

PATIENCE: Final = 60.0

_TRIES: Final = 3
"""Times that a cluster is started: Ray waits 30 s for most of its processes, which is not enough on busy cores."""


def needs_ray() -> None:
    """Skip the test where there is no Ray."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("There is no Ray here: pip install 'subactors[ray]'.")


class RayCluster:
    """A running cluster, whose nodes are `first`, the head, and those that tests have join.

    Attributes:
        address: of its head.
    """

    def __init__(self, program: subprocess.Popen[str], address: str) -> None:
        self._program = program
        self._nodes = {"first"}
        self.address = address

    @property
    def place(self) -> RayPlace:
        """The cluster as a place."""
        return RayPlace(name="lab", address=self.address)

    def has(self, *others: str) -> None:
        """Have these nodes beside the head, and no more; they have two CPUs each. A change takes seconds."""
        for name in self._nodes - {"first", *others}:
            self.do("remove", name)
        for name in others:
            if name not in self._nodes:
                self.do("add", name)

    def do(self, verb: str, name: str, **settings: Any) -> str:
        """Have the program do something with a node (`ray_cluster_program`); return what it says."""
        assert self._program.stdin is not None
        self._program.stdin.write(f"{verb} {name} {json.dumps(settings)}\n")
        self._program.stdin.flush()
        said = self._line()
        if verb == "add":
            self._nodes.add(name)
        elif verb in {"kill", "remove"}:
            self._nodes.discard(name)
        return said

    def _line(self) -> str:
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        assert line, "the cluster's program has ended"
        return line.strip()


@contextlib.contextmanager
def ray_cluster(**variables: str) -> Iterator[RayCluster]:
    """A cluster, which has no workers before somebody wants them. Modules are found on its nodes as here.

    Its nodes have these variables, too. Skips the test where there is no Ray, or one whose processes do not start: that
    says nothing of what is tested.
    """
    needs_ray()
    command = [sys.executable, str(Path(__file__).with_name("ray_cluster_program.py"))]
    environ = {
        **os.environ,
        "PYTHONPATH": ":".join(sys.path),
        "RAY_enable_worker_prestart": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_gcs_server_port_wait_time_s": "120",
        **variables,
    }
    for _ in range(_TRIES):
        with subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            if address := program.stdout.readline().strip():
                yield RayCluster(program, address)
                program.stdin.close()
                return
    pytest.skip("Ray is installed here, and its processes do not start.")


# --- what tests do with one -------------------------------------------------------------------------------------------


TEAM: dict[str, Any] = {
    "agents": {
        "daemon": {"entrypoint": "node_entrypoints:leaves_a_daemon"},
        "report": {"entrypoint": "entrypoints:report"},
        "wide": {"entrypoint": "node_entrypoints:leaves_a_daemon", "place": "lab", "resources": {"cpu": 2}},
        "impossible": {
            "entrypoint": "node_entrypoints:leaves_a_daemon",
            "place": "lab",
            "resources": {"gpu": 1, "custom": {"fpga": 2}},
        },
        "again": {
            "entrypoint": "node_entrypoints:once_then_waits",
            "restart": {"policy": "transient", "max_restarts": 1, "backoff": 0.01},
        },
    }
}


def opened(place: RayPlace, **settings: Any) -> Runtime:
    return Runtime.from_mapping(TEAM, stop_grace=0.5, standby=0, places=(place,), place=place.name, **settings)


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
