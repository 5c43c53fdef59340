"""The part of SCALE.md about hosts with nodes: what a task costs there, what nodes carry, when a second host is due."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Final

from .capacity import GIGABYTE, PLANNED, Machine
from .cluster import HOST, PORTS, Cluster, on_the_same_machine
from .simulation import Workload
from .tables import count, milliseconds, table

__all__ = ["ASSUMPTIONS", "sections"]

_HOST: Final = Machine(8, 32 * GIGABYTE)
_NODES: Final = (Machine(8, 32 * GIGABYTE), Machine(32, 128 * GIGABYTE))
_COUNTS: Final = (1, 10, 100)

_TEN_GIGABIT: Final = 1250.0
_GIGABIT: Final = 125.0
"""Megabytes a second."""

ASSUMPTIONS: Final = f"""* All tasks run on nodes, none on the host; a node is as fast as the machine where costs were
  measured, and its way to the host takes no time. Turns, journal and an LLM task's memory cost what they cost locally.
* A host reaches one address of a node by {PORTS:,} connections, the ports that Linux gives by itself; ssh has no such
  bound, and descriptors of its own. Line speeds are taken whole, less the reserve.
* Tasks go evenly to all nodes. Nested tasks pass through the host, and count as tasks of their own."""


def sections(measured: dict[str, Any], nodes: dict[str, Any], workloads: Sequence[Workload]) -> list[str]:
    """Return the parts of the page.

    Args:
        measured: what `costs.json` holds.
        nodes: what `node_costs.json` holds.
        workloads: what tasks do.
    """
    cluster = Cluster(measured, on_the_same_machine(measured, nodes), _HOST)
    return [
        "## What does a task on a node cost?",
        *_costs(nodes),
        "## How much do one host and its nodes carry?",
        *_carried(cluster, workloads),
        "## At how many nodes is a second host due?",
        *_second_host(cluster, workloads),
        "## How far off is the simulation of a node?",
        *_check(Cluster(measured, nodes, _HOST), nodes),
    ]


def _costs(nodes: dict[str, Any]) -> list[str]:
    machine, node = nodes["machine"], nodes["node"]

    def seconds(where: str, names: Sequence[str]) -> float:
        return float(sum(nodes[where]["task"][name] for name in names))

    rows = [
        (what, *(f"{seconds(where, names) * 1000:.2f}" for where in ("local", "node")))
        for what, names in {
            "host's interpreter: caller, mailbox, I/O thread": (
                "call",
                "supervisor_start",
                "io_start",
                "supervisor_end",
                "io_end",
            ),
            "node's agent": ("agent_start", "agent_end"),
            "zygote: fork and reaping": ("zygote_start", "zygote_end"),
            "task's own process: start and exit": ("child_start", "child_end"),
        }.items()
    ]
    output = [nodes[where]["output_megabyte"] for where in ("local", "node")]
    rows.append(("a megabyte of output in the host", *(f"{each['io'] * 1000:.2f}" for each in output)))
    taken, second, size, base = node["taken"], node["second"], node["bytes"], node["base"]
    return [
        f"""Measured by `python -m benchmarks.node_costs` (`node_costs.json`): local tasks, and tasks on an agent of
        this machine over TCP, in turn. {machine["cores"]} cores ({machine["processor"]}), with a load of
        {machine["load_before"]:.1f} before it began.""",
        table(["CPU time of one task, ms", "local", "on a node"], rows),
        f"""The host's own work hardly differs: it supervises a task wherever that runs. What it is rid of is the fork
        and the task's process. The agent passes a task's connection on to its zygote, so output does not pass through
        it. For each task that runs the host has {taken["host_descriptors"]:.0f} descriptors and
        {taken["host_memory"] / 1000:.0f} kB, the agent {taken["agent_descriptors"]:.0f} descriptors and
        {taken["agent_memory"] / 1000:.0f} kB. Agent and zygote take
        {(base["agent"] + base["zygote"]) / 1e6:.0f} MB a node.""",
        f"""Over the line go {size["task_to_node"] / 1000:.1f} kB for a start, {size["task_to_host"] / 1000:.1f} kB
        back for start and end, {size["turn"] / 1000:.1f} kB for a turn, and what a task says. A second of a node takes
        {size["second_per_node"]:.0f} bytes, {second["host"] * 1000:.2f} ms of the host and
        {second["agent"] * 1000:.2f} ms of the agent; of each task that idles there {size["second_per_task"]:.0f} bytes,
        {second["host_per_task"] * 1e6:.0f} µs and {second["agent_per_task"] * 1e6:.0f} µs.""",
    ]


def _carried(cluster: Cluster, workloads: Sequence[Workload]) -> list[str]:
    rows = []
    for machine in _NODES:
        for workload in workloads:
            cells = []
            for number in _COUNTS:
                capacity = cluster.capacity(workload, machine, number, _TEN_GIGABIT)
                first = capacity.planned_first
                mark = "**" if first.startswith(HOST) else ""
                rate = count(cluster.planned(capacity))
                cells.append(f"{rate}; {count(capacity.concurrent)} ({mark}{first}{mark})")
            rows.append((f"{machine}: {workload.name}", *cells))
    head = ["nodes of", *(f"{number} node{'s' * (number > 1)}" for number in _COUNTS)]
    return [
        f"""Tasks a second; tasks at once, and in brackets what bounds them first. All plan with {PLANNED:.0%} of
        what is a rate. Bold is what the host runs out of: more nodes do not help there. Costs on nodes are
        as many times the local ones at the top of the page as they are in the table above. The host is a machine of
        {_HOST}; it and each node have a line of 10 Gbit/s.""",
        table(head, rows),
    ]


def _second_host(cluster: Cluster, workloads: Sequence[Workload]) -> list[str]:
    rows = []
    for workload in workloads:
        cells = []
        for machine in _NODES:
            for network in (_TEN_GIGABIT, _GIGABIT):
                number, first = cluster.second_host_at(workload, machine, network)
                cells.append(f"{number:,} ({first.removeprefix(HOST)})")
        rows.append((workload.name, *cells))
    head = [f"nodes of {machine}, {line}" for machine in _NODES for line in ("10 Gbit/s", "1 Gbit/s")]
    return [
        """The number of nodes that could have more tasks than one host can, and what the host runs out of. Below that
        number all nodes are used; from it on the next node brings nothing, and a second host, with nodes of its own, is
        due. 1 means that the host holds back even one node. Hosts share nothing, so two carry twice as much.""",
        table(["a second host is due at", *head], rows),
        """Short tasks are bound by the host's interpreter. One host can feed few nodes with them, and a second host
        program on the same machine helps as well as a second machine. Loud tasks are bound by the host's disk, where
        all output is kept. Tasks that live long and mostly wait are bound by the memory of nodes up to a large number
        of these.""",
    ]


def _check(cluster: Cluster, nodes: dict[str, Any]) -> list[str]:
    observed, cores = nodes["node"]["observed"], nodes["machine"]["cores"]
    alone = observed["alone"]
    run, start, _ = cluster.simulated(cores, 1, alone["others"], is_one_at_a_time=True)
    pairs = [
        ("`run`, alone", alone["others"], run, alone["run"]),
        ("start, alone", alone["others"], start, alone["start"]),
    ]
    for number, seen in observed["fan_outs"].items():
        _, _, span = cluster.simulated(cores, int(number), seen["others"], is_one_at_a_time=False)
        pairs.append((f"fan-out of {number}, beyond its second", seen["others"], span, seen["span"]))
    rows = [
        (what, f"{others:.2f}", milliseconds(span), milliseconds(seen), f"{span / seen - 1:+.0%}")
        for what, others, span, seen in pairs
    ]
    errors = [abs(span / seen - 1) for _, _, span, seen in pairs]
    return [
        f"""Host and node share the {cores} cores of this machine here, as they did when costs were measured, and have
        what other programs leave of them.""",
        table(["ms", "cores used by others", "simulated", "measured", "error"], rows),
        f"The error is {statistics.median(errors):.0%} in the middle and {max(errors):.0%} at worst.",
    ]
