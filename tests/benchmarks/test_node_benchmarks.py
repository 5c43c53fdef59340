"""The benchmark of nodes runs, with the smallest numbers, and says which targets are met."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # where `benchmarks` is, which is not installed

from benchmarks.nodes_page import judge, page
from benchmarks.relay import Relay
from benchmarks.results import Results, Skipped, summarise
from benchmarks.scenarios.nodes import STANDING_BY

ROOT = Path(__file__).parents[2]


def results(metric: str = "start", **medians: float) -> Results:
    """Results with a start for each contender, in seconds."""
    found = Results(machine={"cores": 2, "processor": "x", "memory_bytes": 1, "kernel": "x", "load_before": 0.0})
    for name, median in medians.items():
        contender = name.replace("_", "-")
        found.measurements.append(summarise("node-start", contender, metric, tasks=0, unit="s", rounds=[[median]]))
    return found


def test_tasks_over_tcp_are_measured_beside_local_ones(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    chosen = ["--smoke", "--peers", "subactors,node-tcp", "--only", "node-start", "--json", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.nodes", *chosen], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(path.read_text())
    assert {each["contender"] for each in found["measurements"]} == {"subactors", "node-tcp"}
    assert "node over TCP: start: " in done.stdout


@pytest.mark.parametrize(("there", "is_met"), [(0.0074, True), (0.0076, False)])
def test_a_start_on_a_node_may_take_half_as_long_again(there: float, is_met: bool) -> None:
    (judged,) = judge(results(subactors=0.005, node_tcp=there))

    assert judged.is_met is is_met


def test_a_start_is_compared_with_a_bare_ray_actor_where_there_is_one() -> None:
    found = results(STANDING_BY, node_tcp=0.005)
    found.measurements += results(ray=0.6).measurements

    assert [(each.title, each.measured, each.is_met) for each in judge(found)] == [
        (f"node over TCP: {STANDING_BY}, ahead of a Ray actor", "120 times", True)
    ]


def test_the_page_says_what_was_not_measured() -> None:
    found = results(subactors=0.005)
    found.skipped.append(Skipped("all", "ray", "ray is not installed"))

    made = page(found)

    assert "* all, ray: ray is not installed" in made
    assert "## How fast does output come home?\n\nNot measured in this run." in made
    assert "| start | 5.00 ms / 5.00 ms | - |" in made


def test_the_page_that_is_kept_is_of_the_results_that_are_kept() -> None:
    kept = Results.load(ROOT / "benchmarks" / "nodes.json")

    assert (ROOT / "benchmarks" / "NODES.md").read_text() == page(kept)


def test_a_relay_counts_what_goes_either_way() -> None:
    import socket  # noqa: PLC0415 - of this test alone

    with socket.create_server(("127.0.0.1", 0)) as there:
        relay = Relay(there.getsockname())
        with socket.create_connection(relay.address) as host:
            node, _ = there.accept()
            with node:
                host.sendall(b"start")
                assert node.recv(5, socket.MSG_WAITALL) == b"start"
                node.sendall(b"end")
                assert host.recv(3, socket.MSG_WAITALL) == b"end"
        relay.close()

    assert (relay.to_node, relay.to_host) == (5, 3)
