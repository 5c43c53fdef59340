"""The scale model: what saturates first with 10,000 to 1,000,000 tasks on hosts and nodes; writes SCALE.md.

`python -m benchmarks.scale --measure` measures the costs and writes the page; without `--measure` it is made again from
`costs.json`. What is in the page is computed or simulated from measured costs, and says where reality differs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .capacity import (
    DESCRIPTOR_LIMIT,
    DISK,
    GIGABYTE,
    MEGABYTE,
    MEMORY_SHARE,
    PLANNED,
    SIMULATED,
    Loaded,
    Machine,
    Model,
)
from .costs import FILE, measure
from .node_costs import NODE_FILE, measure_nodes
from .scale_nodes import ASSUMPTIONS, sections
from .simulation import Workload
from .tables import count, milliseconds, table

__all__ = ["main", "page"]

_FOLDER: Final = Path(__file__).parent
_PAGE: Final = _FOLDER / "SCALE.md"
_PICTURES: Final = _FOLDER / "pictures"

_AS_THEY_ARE: Final = ("#", "|", "!", "*")
"""How parts of the page begin that are no paragraphs."""

_LOADS: Final = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
_SHOWN_LOADS: Final = frozenset({0.3, 0.7, 0.9})
"""Those in the table; the picture has all."""

_CONCURRENT: Final = (10_000, 100_000, 1_000_000)

_WORKLOADS: Final = (
    Workload("plain, 1 s", 1.0, output=0.001),
    Workload("plain, 1 min", 60.0, output=0.1),
    Workload("loud: 100 MB in 1 min", 60.0, output=100.0),
    Workload("LLM, 2 min, 10 turns", 120.0, turns=10, output=0.02),
    Workload("LLM, 30 min, 100 turns", 1800.0, turns=100, output=0.2),
)


_MACHINES: Final = tuple(Machine(cores, gigabytes * GIGABYTE) for cores, gigabytes in [(2, 8), (8, 32), (32, 128)])


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


# --- the page -------------------------------------------------------------------------------------------------------


def page(model: Model, nodes: dict[str, Any]) -> str:
    """Return the page, of what was measured of local tasks and of tasks on nodes."""
    loads = {machine: [model.simulated_load(_WORKLOADS[0], machine, load) for load in _LOADS] for machine in _MACHINES}
    drawn = _draw(model, loads)
    parts = [
        *_introduction(model, nodes),
        "## What saturates first?",
        *_saturation(model),
        "## How many machines does it take?",
        *_machines(model, drawn),
        "## How long do `run` and a start take under load?",
        *_latencies(loads, drawn),
        "## How far off is the simulation?",
        *_check(model),
        *sections(model.measured, nodes, _WORKLOADS),
        "## What is assumed?",
        _ASSUMPTIONS,
        "Where there are nodes:",
        ASSUMPTIONS,
    ]
    return "\n\n".join(part if part.startswith(_AS_THEY_ARE) else _paragraph(part) for part in parts) + "\n"


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def _introduction(model: Model, nodes: dict[str, Any]) -> list[str]:
    machine, memory, task = model.measured["machine"], model.measured["memory"], model.measured["task"]
    in_host = [task[name] for name in ("call", "supervisor_start", "io_start", "supervisor_end", "io_end")]
    rows = [
        ("zygote: fork and reaping", task["zygote_start"] + task["zygote_end"]),
        ("host's interpreter: caller, mailbox, I/O thread", sum(in_host)),
        ("of it the supervisor's mailbox", task["supervisor_start"] + task["supervisor_end"]),
        ("journal: three commits", 3 * (model.measured["journal"]["commit"] + model.measured["journal"]["write"])),
        ("task's own process, plain: start and exit", task["child_start"] + task["child_end"]),
        ("task's own process, LLM: start", model.measured["llm_child_start"]),
        ("a turn in the task's process, with its request", model.measured["turn"]["child"]),
        ("a turn in the host", model.measured["turn"]["supervisor"] + model.measured["turn"]["io"]),
        ("a megabyte of output in the host", model.measured["output_megabyte"]["io"]),
    ]
    kept = (
        f"Memory: {memory['task'] / MEGABYTE:.1f} MB for an idle plain task, {memory['llm_task'] / MEGABYTE:.1f} MB "
        f"for an LLM task that has talked to its server (USS), {memory['host_per_running_task'] / 1000:.0f} kB of the "
        f"host for each that runs, {memory['host_per_remembered_task'] / 1000:.1f} kB for each that is remembered; "
        f"{memory['base'] / MEGABYTE:.0f} MB for host and zygote. {model.measured['descriptors']:.0f} descriptors of "
        f"the host for each that runs. {model.measured['journal']['bytes_per_task'] / 1000:.0f} kB written for each."
    )
    return [
        "# What 10,000 to 1,000,000 tasks need",
        """Made by `python -m benchmarks.scale --measure`, which measures what tasks cost on the machine where it
        runs (`costs.json`) and simulates what that machine cannot run. `python -m benchmarks.scale` makes the
        page again from the same costs. One host is simulated: hosts share nothing, so many hosts are that one
        many times.""",
        f"""Measured on {machine["cores"]} cores ({machine["processor"]}), kernel {machine["kernel"]}, Python
        {model.measured["versions"]["python"]}, with a load of {machine["load_before"]:.1f} before it began (CPU
        times by thread and process; a busy machine makes them larger, as caches are shared).
        {_of_two_machines(machine, nodes["machine"])}""",
        table(["CPU time of one task", "ms"], [(name, f"{seconds * 1000:.2f}") for name, seconds in rows]),
        kept,
    ]


def _of_two_machines(local: dict[str, Any], nodes: dict[str, Any]) -> str:
    """Return a sentence, if the costs of tasks on nodes were measured elsewhere than those of local tasks."""
    if all(local[fact] == nodes[fact] for fact in ("cores", "processor", "kernel")):
        return ""
    return f"""What tasks on nodes cost (`node_costs.json`) was measured on another machine ({nodes["cores"]} cores,
        {nodes["processor"]}), beside local tasks there, and is taken as a multiple of what these cost."""


def _saturation(model: Model) -> list[str]:
    rows = []
    for machine in _MACHINES:
        for workload in _WORKLOADS:
            capacity = model.capacity(workload, machine)
            rates = [count(rate) for rate in capacity.rates.values()]
            room = count(capacity.places["memory"])
            rows.append(
                (f"{machine}: {workload.name}", *rates, room, f"**{capacity.first}**", count(capacity.concurrent))
            )
    most = DESCRIPTOR_LIMIT / model.measured["descriptors"]
    names = [f"{name}, tasks/s" for name in model.capacity(_WORKLOADS[0], _MACHINES[0]).rates]
    head = ["one runtime", *names, "memory, tasks", "first", "tasks at once"]
    return [
        f"""Where each resource saturates, with one runtime on a machine, and which is first as the number of tasks
        grows. The last column plans with {PLANNED:.0%} of that.""",
        table(head, rows),
        f"""The supervisor's mailbox alone would take {count(model.mailbox_rate())} plain tasks a second. It shares the
        interpreter with the I/O thread and the callers, so the interpreter is what is listed. {DESCRIPTOR_LIMIT:,}
        descriptors, which a program may have, are enough for {count(most)} tasks.""",
    ]


def _machines(model: Model, drawn: bool) -> list[str]:
    rows = []
    for machine in _MACHINES[1:]:
        for workload in _WORKLOADS:
            cells = []
            for tasks in _CONCURRENT:
                one, _ = model.machines(workload, machine, tasks, runtimes=False)
                more, runtimes = model.machines(workload, machine, tasks, runtimes=True)
                cells.append(f"{one:,}" if runtimes == 1 else f"{one:,} ({more:,} with {runtimes} each)")
            fill = model.capacity(workload, machine)
            rows.append((f"{machine}: {workload.name}", *cells, f"{fill.concurrent / fill.rate:,.0f} s"))
    head = ["machines for", *(f"{tasks:,} at once" for tasks in _CONCURRENT), "to fill one"]
    return [
        """Machines with one runtime each. In brackets, where one runtime cannot use all of a machine: with as many
        runtimes (host programs) on each as it can feed. Every task that ends is followed by another. *To fill one* is
        how long a machine takes from none to all of its tasks.""",
        table(head, rows),
        *(["![machines against tasks at once](pictures/scale_machines.svg)"] if drawn else []),
    ]


def _latencies(loads: dict[Machine, list[Loaded]], drawn: bool) -> list[str]:
    rows = [
        (
            f"{machine}: {loaded.load:.0%}",
            count(loaded.rate),
            milliseconds(_quantile(loaded.run, 0.5)),
            milliseconds(_quantile(loaded.run, 0.99)),
            milliseconds(_quantile(loaded.start, 0.5)),
            milliseconds(_quantile(loaded.start, 0.95)),
            *(f"{share:.0%}" for share in loaded.used.values()),
        )
        for machine, each in loads.items()
        for loaded in each
        if loaded.load in _SHOWN_LOADS
    ]
    stations = list(next(iter(loads.values()))[0].used)
    head = ["load", "tasks/s", "`run` p50, ms", "p99", "start p50, ms", "p95", *stations]
    return [
        f"""Simulated: plain tasks of one second arrive independently of each other, {SIMULATED:,} at each load. Load is
        the share of the rate at which the first resource saturates. The last columns are what was in use.""",
        table(head, rows),
        *(["![start latency against load](pictures/scale_latency.svg)"] if drawn else []),
    ]


def _check(model: Model) -> list[str]:
    observed, cores = model.measured["observed"], model.measured["machine"]["cores"]
    alone, fan_outs = observed["alone"], observed["fan_outs"]
    quiet, busy = model.simulated_alone(cores), model.simulated_alone(cores, alone["others"])
    pairs = [
        ("`run`, alone", alone["others"], quiet[0], busy[0], alone["run"]),
        ("start, alone", alone["others"], quiet[1], busy[1], alone["start"]),
    ]
    for number, seen in fan_outs.items():
        quiet_span = model.simulated_fan_out(int(number), cores)
        busy_span = model.simulated_fan_out(int(number), cores, seen["others"])
        pairs.append((f"fan-out of {number}, beyond its second", seen["others"], quiet_span, busy_span, seen["span"]))
    rows = [
        (what, f"{others:.2f}", *map(milliseconds, (quiet, busy, seen)), f"{busy / seen - 1:+.0%}")
        for what, others, quiet, busy, seen in pairs
    ]
    errors = [abs(busy / seen - 1) for _, _, _, busy, seen in pairs]
    head = ["ms", "cores used by others", "simulated", "so, beside the others", "measured", "error"]
    return [
        f"""What the simulation says of this machine ({cores} cores), and what the clock said when the costs were
        measured. What other programs use is counted: what is simulated beside them has what they leave of the cores,
        or, where it uses but one at a time, its fair share.""",
        table(head, rows),
        f"""The error is {statistics.median(errors):.0%} in the middle and {max(errors):.0%} at worst. What the clock
        sees and CPU times do not: switches between threads and processes, waiting for the interpreter lock, cores that
        wake from sleep (a call of `run` has three such switches in a fraction of a millisecond); and others do not only
        take their share of the cores, they also come first now and then.""",
    ]


_ASSUMPTIONS: Final = f"""* Costs do not grow with the number of tasks, nor with cores (memory bandwidth, locks).
* Everything in Python in the host waits for one interpreter lock; the journal's thread does not (SQLite lets go of it).
* Of what supervisor and I/O thread do for a start, half comes before the fork and half after it.
* A task's turns and output are spread evenly; a turn's request goes over loopback without TLS; the model's time is in
  the task's length. Idle tasks use no CPU time; vitals use at most 0.6 % of a core, 2.2 % while somebody watches.
* In capacities each write has a commit of its own; in the simulation a commit takes all that wait, as in reality.
* No process stands by: one that does moves its fork to a quieter moment, and saves none of it.
* A disk takes {DISK:.0f} MB a second, tasks may have {MEMORY_SHARE:.0%} of the memory, arrivals are spread evenly
  over machines; `max_running`, `max_tasks`, `kernel.pid_max` (two ids a task) and RLIMIT_NOFILE are set for that.
* What is outside is not modelled: rate limits of model providers, the network, whoever spreads tasks over machines."""


# --- pictures -------------------------------------------------------------------------------------------------------


def _draw(model: Model, loads: dict[Machine, list[Loaded]]) -> bool:
    """Draw both pictures; False if matplotlib is not installed."""
    try:
        matplotlib: Any = importlib.import_module("matplotlib")
    except ImportError:
        print("matplotlib is not installed; the page has no pictures.", file=sys.stderr)
        return False
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "subactors", "svg.fonttype": "none", "font.size": 9})
    plots: Any = importlib.import_module("matplotlib.pyplot")
    _PICTURES.mkdir(exist_ok=True)
    figure, axes = plots.subplots(figsize=(7, 4))
    # Where lines lie on each other (the same thing is saturated, however many cores there are) all are to be seen.
    for machine, colour, width in zip(loads, ["#c0392b", "#85c1e9", "#0e6655"], [1.5, 5.0, 1.5], strict=True):
        rates = [loaded.rate for loaded in loads[machine]]
        for share, style in [(0.5, "-"), (0.95, "--")]:
            values = [_quantile(loaded.start, share) * 1000 for loaded in loads[machine]]
            label = f"{machine}, p{share * 100:.0f}"
            axes.plot(rates, values, style, linewidth=width, color=colour, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("plain tasks of one second, a second")
    axes.set_ylabel("ms from run to the first output")
    _save(figure, axes, plots, "scale_latency")
    figure, axes = plots.subplots(figsize=(7, 4))
    counts = [10**power for power in (3, 4, 5, 6)]
    for number, workload in enumerate(_WORKLOADS):
        needed = [model.machines(workload, _MACHINES[1], count, runtimes=True)[0] for count in counts]
        style = "--" if number == len(_WORKLOADS) - 1 else "-"
        axes.plot(counts, needed, style, marker="o", markersize=4, label=workload.name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("tasks at once")
    axes.set_ylabel(f"machines ({_MACHINES[1]})")
    _save(figure, axes, plots, "scale_machines")
    return True


def _save(figure: Any, axes: Any, plots: Any, name: str) -> None:
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(_PICTURES / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    plots.close(figure)


def main() -> int:
    """Parse the command line, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the costs on this machine first (some minutes)")
    given = parser.parse_args()
    if given.measure:
        FILE.write_text(json.dumps(measure(), indent=1) + "\n")
        NODE_FILE.write_text(json.dumps(measure_nodes(), indent=1) + "\n")
    _PAGE.write_text(page(Model(json.loads(FILE.read_text())), json.loads(NODE_FILE.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
