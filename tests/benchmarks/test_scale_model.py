"""The simulation of one host, and what follows for many, agree with what can be worked out by hand."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # where `benchmarks` is, which is not installed

from benchmarks import scale
from benchmarks.capacity import Machine, Model
from benchmarks.simulation import Costs, Host, Simulation, Workload


def fan_out(costs: Costs, cores: int, count: int, length: float = 10.0, turns: int = 0) -> tuple[Host, Simulation]:
    simulation = Simulation()
    host = Host(simulation, costs, cores)
    simulation.start(host.fan_out(Workload("by hand", length, turns), count))
    simulation.run()
    return host, simulation


def test_a_task_alone_takes_the_sum_of_what_it_does() -> None:
    costs = Costs(accept=1, launch=2, fork=4, child_start=8, started=16, child_end=32, reap=64, ended=128)

    host, _ = fan_out(costs, cores=2, count=1, length=1000.0)

    assert host.run_latencies == pytest.approx([1])
    assert host.start_latencies == pytest.approx([1 + 2 + 4 + 8 + 16])
    assert host.ends == pytest.approx([1 + 2 + 4 + 8 + 1000 + 32 + 64 + 128])


def test_forks_queue_at_the_one_zygote_however_many_cores_there_are() -> None:
    host, _ = fan_out(Costs(fork=1), cores=16, count=3)

    assert host.start_latencies == pytest.approx([1, 2, 3])
    assert host.ends == pytest.approx([11, 12, 13])
    assert host.zygote.used == pytest.approx(3)


def test_tasks_of_their_own_share_the_cores() -> None:
    # Four processes that each need a second, on two cores, in turns: all end after about two.
    host, _ = fan_out(Costs(child_start=1), cores=2, count=4)

    assert host.start_latencies == pytest.approx([2] * 4, abs=0.01)
    assert host.cores.used == pytest.approx(4)


def test_a_commit_takes_all_writes_that_wait() -> None:
    simulation = Simulation()
    host = Host(simulation, Costs(commit=1, write=0.5), cores=1)
    for _ in range(3):
        simulation.start(host.call_run(Workload("by hand", 100.0)))
    simulation.run(until=50)

    # The first write goes alone (1.5 s); the other two calls, and what the three tasks have to note, go together.
    assert host.run_latencies == pytest.approx([1.5, 1.5 + 3.5, 1.5 + 3.5])
    assert host.commits == 2
    assert host.journal.used == pytest.approx(5)


def test_turns_are_paid_by_task_interpreter_and_journal() -> None:
    host, _ = fan_out(Costs(turn_child=2, turn_host=1, commit=0.5), cores=4, count=1, length=30.0, turns=3)

    assert host.ends == pytest.approx([30 + 3 * 2 + 0.5])
    assert host.interpreter.used == pytest.approx(3)
    # Accepted and running (apart, or together), three turns, ended.
    assert host.commits == 6


def test_what_arrives_is_what_ends_and_what_is_used() -> None:
    simulation = Simulation()
    chance = random.Random(1)  # noqa: S311 - nothing is secret here, and it is to be the same each time
    costs = Costs(accept=0.001, fork=0.004, child_start=0.01, child_end=0.002, commit=0.0001, write=0.0001)
    host = Host(simulation, costs, cores=4)
    simulation.start(host.arrivals(Workload("by hand", 1.0), 50.0, 20.0, chance))
    simulation.run()

    count = len(host.ends)
    assert count == pytest.approx(1000, rel=0.1)
    assert host.running == 0
    assert host.zygote.used == pytest.approx(count * 0.004)
    journal = host.commits * 0.0001 + 3 * count * 0.0001
    assert host.journal.used == pytest.approx(journal)
    assert host.cores.used == pytest.approx(count * (0.001 + 0.004 + 0.01 + 0.002) + journal)


# --- what follows for many hosts ------------------------------------------------------------------------------------

BY_HAND: dict[str, Any] = {
    "task": {
        "call": 0.001,
        "supervisor_start": 0.002,
        "io_start": 0.002,
        "zygote_start": 0.008,
        "child_start": 0.01,
        "supervisor_end": 0.0,
        "io_end": 0.0,
        "zygote_end": 0.002,
        "child_end": 0.01,
    },
    "llm_child_start": 0.05,
    "turn": {"supervisor": 0.0, "io": 0.0, "journal": 0.0, "child": 0.0},
    "output_megabyte": {"io": 0.0, "child": 0.0},
    "journal": {"commit": 0.0005, "write": 0.0005, "wall": 0.0, "bytes_per_task": 1_000_000},
    "memory": {"base": 0, "task": 1_000_000, "llm_task": 9_000_000, "host_per_running_task": 1_000_000},
    "descriptors": 4,
}


def test_each_rate_is_one_divided_by_what_a_task_takes() -> None:
    capacity = Model(BY_HAND).capacity(Workload("plain", 2.0), Machine(4, 10_000_000_000))

    assert capacity.rates == pytest.approx(
        {
            "forks (zygote)": 100,  # 10 ms each
            "host's interpreter": 200,  # 5 ms
            "journal": 1000 / 3,  # three writes of 1 ms
            "cores": 4 / 0.038,  # all of these, and 20 ms of its own
            "disk": 200,  # a megabyte each
        }
    )
    assert capacity.places == pytest.approx({"memory": 4000, "descriptors": 524_288 / 4})
    assert (capacity.first, capacity.most) == ("forks (zygote)", pytest.approx(200))
    assert capacity.concurrent == pytest.approx(140)  # seven tenths of it


def test_tasks_that_live_long_need_memory_first_and_machines_for_it() -> None:
    model, workload, machine = Model(BY_HAND), Workload("LLM", 3600.0, turns=1), Machine(4, 10_000_000_000)

    assert model.capacity(workload, machine).first == "memory"
    assert model.machines(workload, machine, 1_000_000, runtimes=False) == (1250, 1)  # 800 of 10 MB on each


def test_machines_with_more_cores_than_one_runtime_can_feed_get_more_runtimes() -> None:
    model, workload, machine = Model(BY_HAND), Workload("plain", 2.0), Machine(38, 10_000_000_000)

    # Cores for 1,000 tasks a second, a disk for 200, a zygote for 100: two runtimes on each, as planned 280 tasks.
    assert model.machines(workload, machine, 28_000, runtimes=False) == (200, 1)
    assert model.machines(workload, machine, 28_000, runtimes=True) == (100, 2)


def test_the_costs_that_are_kept_are_what_the_model_reads() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "costs.json"
    model = Model(json.loads(path.read_text()))

    assert model.simulated_fan_out(20, 2) > 0
    assert model.mailbox_rate() > 0
    assert model.capacity(Workload("LLM", 60.0, turns=3), Machine(8, 32_000_000_000)).concurrent > 0


def test_the_page_says_if_costs_of_nodes_come_from_another_machine() -> None:
    folder = Path(scale.__file__).parent
    costs, nodes = (json.loads((folder / name).read_text()) for name in ("costs.json", "node_costs.json"))
    told = "(`node_costs.json`) was measured on another machine"

    assert told in "".join(scale._introduction(Model(costs), nodes))
    assert told not in "".join(scale._introduction(Model(costs), {**nodes, "machine": costs["machine"]}))
