"""What follows for one host with nodes agrees with what can be worked out by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # where `benchmarks` is, which is not installed

from benchmarks.capacity import Machine
from benchmarks.cluster import Cluster, on_the_same_machine
from benchmarks.scale_nodes import sections
from benchmarks.simulation import Costs, Host, Node, Simulation, Station, Workload

ROOT = Path(__file__).parents[2]

MACHINE = Machine(100, 10_000_000_000)

LOCAL: dict[str, Any] = {
    "task": {"call": 0.001, "supervisor_start": 0.0, "io_start": 0.0, "supervisor_end": 0.0, "io_end": 0.0}
    | {"zygote_start": 0.008, "zygote_end": 0.0, "child_start": 0.01, "child_end": 0.01},
    "llm_child_start": 0.05,
    "turn": {"supervisor": 0.0, "io": 0.0, "journal": 0.0, "child": 0.0},
    "output_megabyte": {"io": 0.001, "child": 0.001},
    "journal": {"commit": 0.0, "write": 0.0001, "wall": 0.0, "bytes_per_task": 1000},
    "memory": {"base": 0, "task": 1_000_000, "llm_task": 9_000_000, "host_per_running_task": 1000},
    "descriptors": 3,
}

NODE: dict[str, Any] = {
    "task": {**LOCAL["task"], "call": 0.002, "agent_start": 0.001, "agent_end": 0.001, "agent_main_end": 0.0},
    "taken": {"host_descriptors": 2, "agent_descriptors": 2, "host_memory": 1000, "agent_memory": 0, "memory": 1e6},
    "output_megabyte": {"io": 0.001, "agent": 0.0, "child": 0.001},
    "base": {"agent": 0, "zygote": 0},
    "second": {"host": 0.001, "agent": 0.0, "host_per_task": 0.0, "agent_per_task": 0.0},
    "bytes": {"task_to_node": 2000, "task_to_host": 500, "turn": 0, "second_per_node": 0, "second_per_task": 0},
}

SHORT = Workload("short", 1.0)


def cluster() -> Cluster:
    return Cluster(LOCAL, {"node": NODE}, MACHINE)


def test_nodes_fork_side_by_side() -> None:
    simulation = Simulation()
    nodes = [Node(Station("cores", 4)) for _ in range(3)]
    host = Host(simulation, Costs(agent_start=1, fork=2, agent_end=4), 1, nodes)
    simulation.start(host.fan_out(Workload("by hand", 10.0), 3))
    simulation.run()

    assert host.start_latencies == pytest.approx([3] * 3)
    assert host.ends == pytest.approx([17] * 3)
    assert host.cores.used == 0
    assert [node.cores.used for node in nodes] == pytest.approx([7] * 3)


def test_the_agent_of_a_node_does_one_thing_at_a_time() -> None:
    simulation = Simulation()
    host = Host(simulation, Costs(agent_start=1), 1, [Node(Station("cores", 4))])
    simulation.start(host.fan_out(Workload("by hand", 10.0), 3))
    simulation.run()

    assert host.start_latencies == pytest.approx([1, 2, 3])


def test_more_nodes_fork_more_and_the_host_stays_one() -> None:
    one, ten = (cluster().capacity(SHORT, MACHINE, nodes, 1000.0) for nodes in (1, 10))

    assert (one.rates["forks (zygotes)"], ten.rates["forks (zygotes)"]) == pytest.approx((125, 1250))  # 8 ms each
    assert one.rates["host: interpreter"] == pytest.approx(0.999 / 0.002)
    assert ten.rates["host: interpreter"] == pytest.approx(0.99 / 0.002)  # the signs of life of ten nodes
    assert ten.rates["host: network"] == pytest.approx(400_000)  # 2.5 kB each
    assert (one.first, ten.first) == ("forks (zygotes)", "host: interpreter")


def test_a_second_host_is_due_where_the_host_holds_its_nodes_back() -> None:
    # Four nodes fork 500 tasks a second, five 625; the host takes 498 and 497.
    assert cluster().second_host_at(SHORT, MACHINE, 1000.0) == (4, "host: interpreter")


def test_loud_tasks_find_the_line_of_the_host_narrow_or_its_disk_slow() -> None:
    loud = Workload("loud", 60.0, output=100.0)

    assert cluster().capacity(loud, MACHINE, 10, 125.0).first == "host: network"
    assert cluster().capacity(loud, MACHINE, 10, 1250.0).first == "host: disk"


def test_costs_on_nodes_are_as_many_times_the_local_ones_as_where_both_were_measured() -> None:
    busy = {**LOCAL, "task": {name: 2 * value for name, value in LOCAL["task"].items()}}

    found = on_the_same_machine(LOCAL, {"local": busy, "node": NODE})

    assert found["node"]["task"]["call"] == pytest.approx(0.001)
    assert found["node"]["task"]["agent_start"] == pytest.approx(0.0005)
    assert found["node"]["second"]["host"] == pytest.approx(0.0005)


def test_the_costs_that_are_kept_are_what_the_page_reads() -> None:
    measured, nodes = (
        json.loads((ROOT / "benchmarks" / f"{name}.json").read_text()) for name in ("costs", "node_costs")
    )
    page = (ROOT / "benchmarks" / "SCALE.md").read_text()

    tables = [part for part in sections(measured, nodes, [Workload("plain, 1 s", 1.0, output=0.001)]) if part[0] == "|"]

    assert len(tables) == 4
    assert [line for line in tables[1].splitlines()[2:] if line not in page] == []
