"""Lines to nodes that are slow, or cut without a word: another network on this machine, and a line with a delay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from other_networks import needs_namespaces, other_network, slow_line
from processes_and_waits import is_gone, wait_until
from ssh_server import needs_sshd, ssh_place
from subactors.actors.host import handshake, node_link
from subactors.runtime import Runtime
from teams import PATIENCE

pytestmark = [needs_sshd, pytest.mark.slow]

AGENTS = ("floods", "leaves_a_daemon", "works_a_little")

TEAM: dict[str, Any] = {"agents": {name: {"entrypoint": f"node_entrypoints:{name}"} for name in AGENTS}}


@needs_namespaces
def test_a_line_that_is_cut_costs_each_task_one_end_and_nothing_runs_on_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_link, "PATIENCE", 4.0)
    monkeypatch.setattr(handshake, "LEASE", 2.5)
    monkeypatch.setattr(node_link, "BEAT_EVERY", 0.2)
    with (
        other_network() as network,
        ssh_place(tmp_path, address=network.address, inside=network.inside) as lab,
        Runtime.from_mapping(TEAM, standby=0, places=(lab,), place=lab.name) as runtime,
    ):
        tasks = [runtime.run("leaves_a_daemon", "go") for _ in range(3)]
        for task in tasks:
            wait_until(lambda task=task: "\n" in runtime.view(task).output, "it works", limit=PATIENCE)
        pids = [int(pid) for task in tasks for pid in runtime.view(task).output.split()]
        network.cut()

        views = runtime.wait(tasks, timeout=PATIENCE)

        assert {(view.status, view.reason) for view in views} == {
            ("failed", f"Node {lab.hosts[0]} was lost (no sign of life for 4 s).")
        }
        assert all(map(is_gone, pids))  # by its lease, before the host says so


def test_a_stop_takes_effect_beside_a_flood_on_a_slow_line(tmp_path: Path) -> None:
    with ssh_place(tmp_path) as lab, slow_line(int(lab.options[1]), delay=0.025, rate=1_250_000) as port:
        place = msgspec.structs.replace(lab, options=("-p", str(port), *lab.options[2:]))
        with Runtime.from_mapping(TEAM, standby=0, places=(place,), place=place.name, stop_grace=0.5) as runtime:
            flood = runtime.run("floods", "go")
            wait_until(lambda: runtime.view(flood).output_size > 1_000_000, "it floods", limit=PATIENCE)
            beside = runtime.wait([runtime.run("works_a_little", "3")], timeout=PATIENCE)
            (view,) = runtime.stop(flood)

    assert [view.result for view in beside] == [9]
    assert view.status == "stopped"
