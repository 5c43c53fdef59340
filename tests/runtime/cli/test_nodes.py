"""`nodes` and `drain`: the machines of places, of other processes; and tasks with a node in `ps` and `view`."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from command_line import begun
from live_runs import FIRST, SECOND, live_run, running
from run_folders import past_run, subactors, task_row
from subactors.runtime import NodeView
from terminals import in_terminal
from unreachable_places import needs_ssh, silent_place, unknown_place

BOX = NodeView(
    place="lab",
    name="box1",
    state="serving",
    address="10.0.0.1:4711",
    line="TLS",
    tasks=2,
    memory_available=21_000_000_000,
    silent=0.4,
    version="1.0",
    python="3.11.7",
)
LOST = NodeView(place="lab", name="box2", state="lost", why="No sign of life for 15 s.")


def test_nodes_are_listed_with_what_is_known_of_each(tmp_path: Path) -> None:
    with live_run(tmp_path) as run:
        run.nodes = {"box1": BOX, "box2": LOST}
        done = subactors("nodes", root=tmp_path)

    head, first, second = done.stdout.splitlines()
    assert head.split() == ["NODE", "PLACE", "STATE", "TASKS", "LINE", "FREE", "HEARD", "VERSION", "HOST", "ABOUT"]
    for part in ("box1", "lab", "serving", " 2 ", " TLS ", "21.0 GB", "0.4 s ago", "10.0.0.1:4711"):
        assert part in first
    assert second.startswith("box2  lab    lost         0  -           -          -  -  ")
    assert second.endswith("  No sign of life for 15 s.")


def test_nodes_of_all_runs_or_of_one_are_objects_of_json(tmp_path: Path) -> None:
    with live_run(tmp_path) as one, live_run(tmp_path) as other:
        one.nodes, other.nodes = {"box1": BOX}, {"box2": LOST}
        every = subactors("nodes", "--json", root=tmp_path).stdout.splitlines()
        chosen = subactors("nodes", "--json", "--run", other.folder.path.name, root=tmp_path).stdout.splitlines()
        names = subactors("nodes", "-q", root=tmp_path).stdout.split()

    assert sorted(json.loads(line)["run"] for line in every) == sorted([str(one.folder.path), str(other.folder.path)])
    assert [json.loads(line)["why"] for line in chosen] == [LOST.why]
    assert sorted(names) == ["box1", "box2"]


def test_where_there_are_no_nodes_that_is_said(tmp_path: Path) -> None:
    with live_run(tmp_path):
        done = subactors("nodes", root=tmp_path)

    assert (done.returncode, done.stdout) == (0, "")
    assert "`places` in a team file give it some." in done.stderr


def test_a_narrow_terminal_has_the_nodes_without_the_columns_that_matter_least(tmp_path: Path) -> None:
    with live_run(tmp_path) as run:
        run.nodes = {"box1": BOX, "box2": LOST}
        status, said = in_terminal(
            tmp_path, "nodes", "--state-dir", str(tmp_path), columns=60, COLUMNS="60", NO_COLOR="1"
        )

    assert status == 0
    assert [line.split()[:4] for line in said.splitlines()] == [
        ["NODE", "PLACE", "STATE", "TASKS"],
        ["box1", "lab", "serving", "2"],
        ["box2", "lab", "lost", "0"],
    ]
    assert [line for line in said.splitlines() if len(line.rstrip()) > 60] == []


def test_drain_has_the_host_drain_a_node_and_says_what_becomes_of_its_tasks(tmp_path: Path) -> None:
    with live_run(tmp_path) as run:
        run.nodes = {"box1": BOX}
        gentle = subactors("drain", "box", root=tmp_path)
        stopped = subactors("drain", "box1", "--stop", root=tmp_path)
        assert run.drained == [("box1", False), ("box1", True)]

    assert gentle.stdout == "Node box1 takes no new tasks. 2 tasks run there until they end.\n"
    assert stopped.stdout.startswith("Node box1 takes no new tasks. 2 tasks were ended there; what has a restart")
    assert (gentle.returncode, stopped.returncode) == (0, 0)


def test_an_unknown_node_ends_with_1_and_names_what_is_near(tmp_path: Path) -> None:
    with live_run(tmp_path) as run:
        run.nodes = {"box1": BOX, "box2": LOST}
        unknown = subactors("drain", "bax1", root=tmp_path)
        either = subactors("drain", "box", root=tmp_path)
        assert run.drained == []

    assert (unknown.returncode, either.returncode) == (1, 1)
    assert "There is no node 'bax1' in a run of yours that lives. Near it: box1" in unknown.stderr
    assert "2 nodes fit 'box': box1, box2. Give more of the name." in either.stderr


def test_a_node_of_several_runs_is_drained_for_the_run_that_is_named(tmp_path: Path) -> None:
    with live_run(tmp_path) as one, live_run(tmp_path) as other:
        one.nodes = other.nodes = {"box1": BOX}
        unclear = subactors("drain", "box1", root=tmp_path)
        named = subactors("drain", "box1", "--run", other.folder.path.name, root=tmp_path)
        assert (one.drained, other.drained) == ([], [("box1", False)])

    assert (unclear.returncode, named.returncode) == (1, 0)
    assert "Name one with --run." in unclear.stderr


def test_what_the_host_refuses_is_said(tmp_path: Path) -> None:
    with live_run(tmp_path) as run:
        run.nodes = {"gone since": BOX}
        done = subactors("drain", "box1", root=tmp_path)

    assert (done.returncode, done.stderr) == (1, "subactors: There is no node 'box1' of place lab now.\n")


# --- tasks with a node ----------------------------------------------------------------------------------------------


def test_ps_has_a_column_for_nodes_only_if_a_task_has_one(tmp_path: Path) -> None:
    with live_run(tmp_path, running(FIRST)) as run:
        without = subactors("ps", root=tmp_path).stdout
        run.views[SECOND] = running(SECOND, node="box1")
        with_one = subactors("ps", root=tmp_path).stdout

    assert "NODE" not in without
    assert [" box1 " in line for line in with_one.splitlines()] == [False, False, True]


def test_ps_says_what_a_task_waits_for(tmp_path: Path) -> None:
    waiting = running(FIRST, status="starting", doing="waiting for a node of place lab")
    with live_run(tmp_path, waiting):
        done = subactors("ps", root=tmp_path)

    assert "(waiting for a node of place lab) hard work" in done.stdout


def test_the_node_of_a_task_is_in_the_journal(tmp_path: Path) -> None:
    past_run(tmp_path, task_row(1, node="box1", status="completed"))

    (listed,) = subactors("ps", "--all", "--json", root=tmp_path).stdout.splitlines()
    assert json.loads(listed)["node"] == "box1"
    assert "Node:       box1\n" in subactors("view", FIRST, root=tmp_path).stdout


@needs_ssh
def test_a_run_at_a_place_that_has_no_node_ends_with_1_and_the_whole_reason(tmp_path: Path) -> None:
    gone = unknown_place()
    place = {"type": "ssh", "hosts": gone.hosts, "options": gone.options}
    (tmp_path / "team.yaml").write_text(
        json.dumps({"agents": {"root": {"entrypoint": "builtins:len"}}, "runtime": {"places": {"gone": place}}})
    )
    words = ("run", "team.yaml", "go", "--place", "gone", "--state-dir", "state")
    for options in ((), ("--quiet",)):
        status, said = in_terminal(tmp_path, *words, *options, columns=60, COLUMNS="60", NO_COLOR="1")

        assert status == 1
        reason = "root: StartError: place gone has no node. no-such-host.invalid: ssh: Could not resolve hostname"
        assert f"{reason} no-such-host.invalid: " in " ".join(said.split())


@needs_ssh
@pytest.mark.parametrize("options", [(), ("--verbose",), ("--json",)])
def test_a_run_in_a_pipe_says_once_why_its_root_waits(tmp_path: Path, options: tuple[str, ...]) -> None:
    far = silent_place()
    place = {"type": "ssh", "hosts": far.hosts, "options": far.options}
    team = {"agents": {"root": {"entrypoint": "builtins:len"}}, "runtime": {"place": "far", "places": {"far": place}}}
    (tmp_path / "team.yaml").write_text(json.dumps(team))
    with begun(tmp_path, "run", "team.yaml", "go", "--state-dir", "state", *options) as program:
        assert program.stderr is not None
        lines = iter(program.stderr.readline, "")
        if options != ("--json",):  # of which standard output has the start
            assert any(line.endswith(" root: started: go\n") for line in lines)
        assert next(lines).endswith(" root: waiting for a node of place far\n")
        program.send_signal(signal.SIGINT)
        rest = program.stderr.read()

    assert "waiting for" not in rest
