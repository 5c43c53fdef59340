"""What is told of tasks on nodes, and of nodes: in views, in the journal, by the commands, in an event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from processes_and_waits import wait_until
from run_folders import subactors
from ssh_server import needs_sshd, ssh_place
from subactors.runtime import AsyncRuntime, EntrypointTask, Runtime, TaskEnded
from subactors.runtime.cli.place_means import place_findings
from subactors.runtime.team.places import SshPlace
from teams import PATIENCE

pytestmark = [needs_sshd, pytest.mark.slow]


def maps_elsewhere(task: EntrypointTask) -> list[Any]:
    return list(task.runtime.map("where", ["x"], place=task.text))


TEAM: dict[str, Any] = {
    "agents": {
        "root": {"entrypoint": maps_elsewhere, "sub_agents": ["where"]},
        "where": {"entrypoint": "node_entrypoints:tells_where"},
        "daemon": {"entrypoint": "node_entrypoints:leaves_a_daemon", "place": "lab"},
    }
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshPlace]:
    """One node."""
    with ssh_place(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def runtime(lab: SshPlace, tmp_path: Path) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, standby=0, places=[lab], state_dir=tmp_path) as runtime:
        yield runtime


def test_a_view_names_the_node_while_the_task_runs_and_afterwards(runtime: Runtime, lab: SshPlace) -> None:
    (host,) = lab.hosts
    task = runtime.run("daemon", "go")
    wait_until(lambda: task.view().output, "it says something", limit=PATIENCE)
    view, (listed,) = task.view(), runtime.list()
    task.stop()
    nodes = [event.task.node for event in runtime.events([task]) if isinstance(event, TaskEnded)]

    assert (view.node, listed.node, view.doing) == (host, host, "")
    assert task.view().node == host
    assert nodes == [host]


def test_the_node_is_known_when_the_run_is_over(lab: SshPlace, tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, standby=0, places=[lab], state_dir=tmp_path) as runtime:
        here, there = runtime.submit(len, "x"), runtime.submit(len, "x", place="lab")
        assert (here.result(PATIENCE), there.result(PATIENCE)) == (1, 1)

    lines = subactors("ps", "--all", "--json", root=tmp_path).stdout.splitlines()
    assert {task["id"]: task["node"] for task in map(json.loads, lines)} == {here.id: "", there.id: lab.hosts[0]}


def test_nodes_and_drain_are_told_to_the_program_and_by_the_commands(
    runtime: Runtime, lab: SshPlace, tmp_path: Path
) -> None:
    task = runtime.run("daemon", "go")
    wait_until(lambda: task.view().output, "it says something", limit=PATIENCE)
    (node,) = runtime.nodes()
    listed = json.loads(subactors("nodes", "--json", root=tmp_path).stdout)
    drained = subactors("drain", lab.hosts[0], root=tmp_path)

    assert (node.place, node.name, node.state, node.tasks) == ("lab", lab.hosts[0], "serving", 1)
    assert (listed["name"], listed["state"], listed["tasks"]) == (node.name, "serving", 1)
    assert drained.stdout == f"Node {node.name} takes no new tasks. 1 task runs there until it ends.\n"
    assert [each.state for each in runtime.nodes()] == ["draining"]
    assert task.view().status == "running"


def test_a_map_in_a_task_has_its_items_at_the_place_that_it_names(runtime: Runtime, lab: SshPlace) -> None:
    root = runtime.run("root", "lab")
    root.result(PATIENCE)

    assert {view.agent: view.node for view in runtime.list()} == {"root": "", "where": lab.hosts[0]}


def test_nodes_are_awaited(lab: SshPlace) -> None:
    async def main() -> tuple[object, ...]:
        async with AsyncRuntime(standby=0, places=[lab]) as runtime:
            answers = [answer async for answer in runtime.map(len, ["x", "yz"], place="lab")]
            node = await runtime.drain(lab.hosts[0], stop=True)
            return answers, node.state if node is not None else "", len(await runtime.nodes())

    assert asyncio.run(main()) == ([1, 2], "draining", 1)


def test_doctor_asks_the_hosts_of_a_place_and_compares_versions(lab: SshPlace) -> None:
    without = msgspec.structs.replace(lab, name="without", python="no-such-python")
    found = {each.what: (each.state, each.how) for each in place_findings((lab, without), ping=True)}

    state, how = found[f"place lab, {lab.hosts[0]}"]
    assert state == "ok", how
    assert "with Python 3." in how
    assert found[f"place without, {lab.hosts[0]}"][0] == "!!"
    assert "no-such-python cannot be run there: " in found[f"place without, {lab.hosts[0]}"][1]
    assert found["place lab"][0] == "ok"
