"""What follows for one host with nodes: what saturates first, and at how many nodes a second host is due.

It computes and simulates from measured costs (`costs.json`, and `node_costs.json` for what differs on nodes); it
measures nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from .capacity import DESCRIPTOR_LIMIT, DISK, MEGABYTE, MEMORY_SHARE, PLANNED, Capacity, Machine, Model, slowed
from .simulation import Costs, Host, Node, Simulation, Station, Workload

__all__ = ["HOST", "PORTS", "Cluster", "on_the_same_machine"]

HOST: Final = "host: "
"""How the names of the host's own resources begin; all others are the nodes'."""

PORTS: Final = 28_232
"""Connections that a host has to one address of a node: the ports that Linux gives by itself (32,768 to 60,999)."""


def on_the_same_machine(measured: Mapping[str, Any], nodes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tasks on nodes cost where and when local tasks cost what `costs.json` says.

    Both kinds were measured in turn for `node_costs.json`. How much dearer one is than the other holds on other
    machines, and on a quieter one; what it is in milliseconds does not.
    """
    local, there = measured["task"], nodes["local"]["task"]
    node = dict(nodes["node"])
    factors: dict[str, float] = {}
    for group in (("call", "supervisor", "io"), ("zygote",), ("child",)):
        names = [name for name in local if name.startswith(group)]
        factors |= dict.fromkeys(group, sum(local[name] for name in names) / sum(there[name] for name in names))
    factors["agent"] = python = factors["io"]
    node["task"] = {name: value * factors[name.partition("_")[0]] for name, value in node["task"].items()}
    node["second"] = {name: value * python for name, value in node["second"].items()}
    own, other = measured["output_megabyte"], nodes["local"]["output_megabyte"]
    node["output_megabyte"] = {
        name: value * own[name] / other[name] for name, value in node["output_megabyte"].items() if name in own
    }
    return {**nodes, "node": node}


class Cluster:
    """One host whose tasks all run on nodes, and what they can do.

    Args:
        measured: what `costs.json` holds.
        nodes: what `node_costs.json` holds, both measured on one machine at one time; see `on_the_same_machine`.
        host: the host's own machine.
    """

    def __init__(self, measured: Mapping[str, Any], nodes: Mapping[str, Any], host: Machine) -> None:
        self._measured = measured
        self._node: dict[str, Any] = nodes["node"]
        self._host = host

    def costs(self, workload: Workload) -> Costs:
        """Return what the simulation needs; turns and journal cost what they cost for local tasks."""
        task, output = self._node["task"], self._node["output_megabyte"]
        costs = Model({**self._measured, "task": task}).costs(workload)
        return Costs(
            **{
                **asdict(costs),
                "child_start": max(costs.child_start, task["child_start"]),
                "output": output["io"],
                "output_child": output["child"],
                "agent_start": task["agent_start"],
                "agent_end": task["agent_end"],
            }
        )

    def megabytes(self, workload: Workload) -> float:
        """Return what goes over the line for a task, both ways."""
        size: dict[str, float] = self._node["bytes"]
        told = size["task_to_node"] + size["task_to_host"] + workload.turns * size["turn"]
        return (told + workload.length * size["second_per_task"]) / MEGABYTE + workload.output

    def capacity(self, workload: Workload, machine: Machine, nodes: int, network: float) -> Capacity:
        """Return where each resource is saturated, of the host and of all its nodes together.

        Args:
            workload: what tasks do.
            machine: each node's.
            nodes: how many.
            network: megabytes a second that the host's own line takes, as that of each node.
        """
        own, theirs = self._of_host(workload, nodes, network), self._of_node(workload, machine, network)
        return Capacity(
            rates={**own.rates, **{name: nodes * rate for name, rate in theirs.rates.items()}},
            places={**own.places, **{name: nodes * room for name, room in theirs.places.items()}},
            length=workload.length,
        )

    def _of_host(self, workload: Workload, nodes: int, network: float) -> Capacity:
        costs, second, taken = self.costs(workload), self._node["second"], self._node["taken"]
        writes = 3 + workload.turns
        interpreter = (
            costs.accept
            + costs.launch
            + costs.started
            + costs.ended
            + workload.turns * costs.turn_host
            + workload.output * costs.output
            + workload.length * second["host_per_task"]
        )
        # What is left of the interpreter by the signs of life of all nodes.
        share = max(0.0, 1.0 - nodes * second["host"])
        written = self._measured["journal"]["bytes_per_task"] / MEGABYTE * (writes / 3) + workload.output
        beats = nodes * self._node["bytes"]["second_per_node"] / MEGABYTE
        base = self._measured["memory"]["base"]
        return Capacity(
            rates={
                f"{HOST}interpreter": share / interpreter,
                f"{HOST}journal": 1 / (writes * (costs.commit + costs.write)),
                f"{HOST}disk": DISK / written,
                f"{HOST}network": max(0.0, network - beats) / self.megabytes(workload),
            },
            places={
                f"{HOST}descriptors": (DESCRIPTOR_LIMIT - nodes) / taken["host_descriptors"],
                f"{HOST}memory": (self._host.memory * MEMORY_SHARE - base) / max(1.0, taken["host_memory"]),
            },
            length=workload.length,
        )

    def _of_node(self, workload: Workload, machine: Machine, network: float) -> Capacity:
        costs, second, taken, base = (
            self.costs(workload),
            self._node["second"],
            self._node["taken"],
            self._node["base"],
        )
        zygote = costs.fork + costs.reap
        agent = costs.agent_start + costs.agent_end + workload.length * second["agent_per_task"]
        child = (
            costs.child_start
            + costs.child_end
            + workload.turns * costs.turn_child
            + workload.output * costs.output_child
        )
        each = self._measured["memory"]["llm_task"] if workload.turns else taken["memory"]
        room = machine.memory * MEMORY_SHARE - base["agent"] - base["zygote"]
        return Capacity(
            rates={
                "forks (zygotes)": 1 / zygote,
                "agents' interpreters": (1.0 - second["agent"]) / agent,
                "nodes' cores": machine.cores / (zygote + agent + child),
                "nodes' network": network / self.megabytes(workload),
            },
            places={
                "nodes' memory": room / (each + taken["agent_memory"]),
                "ports": float(PORTS),
                "agents' descriptors": DESCRIPTOR_LIMIT / max(1.0, taken["agent_descriptors"]),
            },
            length=workload.length,
        )

    def second_host_at(self, workload: Workload, machine: Machine, network: float) -> tuple[int, str]:
        """Return at how many nodes one host holds them back, and by what.

        That many nodes hold more tasks than the host can have, both with the reserve that is planned with.
        """
        nodes = 1
        while not self.is_first_of_host(self.capacity(workload, machine, nodes, network)):
            nodes += 1
        own = self._of_host(workload, nodes, network)
        return nodes, own.planned_first

    @staticmethod
    def is_first_of_host(capacity: Capacity) -> bool:
        """Whether it is the host that is saturated first, with the reserve that is planned with."""
        return capacity.planned_first.startswith(HOST)

    # --- simulated --------------------------------------------------------------------------------------------------

    def simulated(self, cores: int, count: int, others: float, *, is_one_at_a_time: bool) -> tuple[float, float, float]:
        """Simulate a host and a node that share this machine's cores, and start so many tasks of a second at once.

        Args:
            cores: of the machine.
            count: how many.
            others: cores that are used by others.
            is_one_at_a_time: whether it gets a fair share beside these, and not only what they leave.

        Returns the latencies of the first call and of the first start, and the seconds beyond the tasks' own.
        """
        simulation, workload = Simulation(), Workload("fan-out", 1.0)
        share = cores / (others + 1) if is_one_at_a_time else 1 - others / cores
        shared = Station("cores", cores)
        host = Host(simulation, slowed(self.costs(workload), share), shared, [Node(shared)])
        simulation.start(host.fan_out(workload, count))
        simulation.run()
        return host.run_latencies[0], host.start_latencies[0], max(host.ends) - workload.length

    def planned(self, capacity: Capacity) -> float:
        """Return tasks a second, planned with some reserve and with what there is room for."""
        return min(PLANNED * capacity.rate, capacity.concurrent / capacity.length)
