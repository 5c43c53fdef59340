"""Which node a task gets, and what becomes of one for which none has room: over ssh, to this machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import submitted
from node_teams import ended, nodes_of, only, opened, said
from processes_and_waits import wait_until
from run_folders import subactors
from ssh_server import needs_sshd, ssh_place
from subactors.runtime import Limits, Runtime
from subactors.runtime.nodes import place, roster
from subactors.runtime.team.places import SshPlace
from teams import PATIENCE

pytestmark = needs_sshd


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshPlace]:
    """Two nodes."""
    with ssh_place(tmp_path_factory.mktemp("lab"), nodes=2) as lab:
        yield lab


@pytest.fixture
def runtime(lab: SshPlace) -> Iterator[Runtime]:
    with opened(lab) as runtime:
        yield runtime


def test_tasks_go_to_the_node_that_has_the_fewest(runtime: Runtime) -> None:
    wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
    tasks = [runtime.run("leaves_a_daemon", "go") for _ in range(4)]
    for task in tasks:
        said(runtime, task)

    assert [node.tasks for node in nodes_of(runtime)] == [2, 2]


def test_tasks_that_are_there_before_any_node_are_spread_over_all(
    lab: SshPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (place, roster):
        monkeypatch.setattr(module, "OTHERS", PATIENCE)
    with opened(lab) as runtime:
        tasks = [runtime.run("leaves_a_daemon", "go") for _ in range(8)]
        for task in tasks:
            said(runtime, task)

        assert [node.tasks for node in nodes_of(runtime)] == [4, 4]


@pytest.mark.slow
def test_hundreds_of_tasks_at_once_all_run_and_none_is_counted_afterwards(lab: SshPlace) -> None:
    with opened(only(lab), max_running=300) as runtime:
        views = runtime.wait([runtime.run("tells_where", "go") for _ in range(300)], timeout=PATIENCE)

        assert {(view.status, view.reason) for view in views} == {("completed", "")}
        assert [node.tasks for node in nodes_of(runtime)] == [0]


@pytest.mark.slow
def test_a_task_that_is_to_be_near_another_runs_on_its_node(runtime: Runtime) -> None:
    wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
    first = runtime.run("leaves_a_daemon", "go")
    said(runtime, first)
    others = [runtime.run("leaves_a_daemon", "go", near=first) for _ in range(2)]
    for task in others:
        said(runtime, task)

    assert sorted(node.tasks for node in nodes_of(runtime)) == [0, 3]


@pytest.mark.slow
def test_a_place_that_packs_fills_one_node_before_the_next(lab: SshPlace) -> None:
    with opened(msgspec.structs.replace(lab, placement="pack", max_tasks=2)) as runtime:
        wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
        for task in [runtime.run("leaves_a_daemon", "go") for _ in range(3)]:
            said(runtime, task)

        assert sorted(node.tasks for node in nodes_of(runtime)) == [1, 2]


def test_a_task_for_which_no_node_has_room_waits_until_one_has(lab: SshPlace) -> None:
    with opened(msgspec.structs.replace(only(lab), max_tasks=1)) as runtime:
        first = runtime.run("leaves_a_daemon", "go")
        said(runtime, first)
        second = runtime.run("tells_where", "go")
        wait_until(lambda: runtime.view(second).doing, "it waits", limit=PATIENCE)
        waiting = runtime.view(second)
        runtime.stop(first)

        assert (waiting.status, waiting.doing) == ("starting", "waiting for a node of place lab")
        assert ended(runtime, second).status == "completed"


def test_tasks_fail_in_words_once_every_node_of_a_place_of_ssh_is_drained(lab: SshPlace) -> None:
    one, two = lab.hosts
    with opened(msgspec.structs.replace(lab, max_tasks=1)) as runtime:
        wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
        running = [runtime.run("leaves_a_daemon", "go") for _ in lab.hosts]
        for task in running:
            said(runtime, task)
        waiting = runtime.run("tells_where", "go")
        wait_until(lambda: runtime.view(waiting).doing, "it waits", limit=PATIENCE)
        for host in lab.hosts:
            runtime.drain(host)
        views = [ended(runtime, task) for task in (waiting, runtime.run("tells_where", "go"))]

        assert {view.status for view in views} == {"failed"}
        for view in views:
            assert f"place lab has no node. {one} is drained. {two} is drained." in view.reason
        assert {runtime.view(task).status for task in running} == {"running"}


def test_the_time_of_a_task_begins_when_it_has_a_node(lab: SshPlace) -> None:
    with opened(msgspec.structs.replace(only(lab), max_tasks=1)) as runtime:
        first = runtime.run("leaves_a_daemon", "go")
        said(runtime, first)
        second = runtime.run("tells_where", "go", limits=Limits(wall_clock=0.5))
        wait_until(lambda: runtime.view(second).doing, "it waits", limit=PATIENCE)
        here = runtime.run("leaves_a_daemon", "go", place="", limits=Limits(wall_clock=0.5))
        assert "wall_clock" in ended(runtime, here).reason  # so long has the other one waited
        waiting = runtime.view(second)
        runtime.stop(first)

        assert waiting.status == "starting"
        assert ended(runtime, second).status == "completed"


def test_a_machine_that_is_in_two_places_is_drained_in_each_and_the_answer_names_them(
    lab: SshPlace, tmp_path: Path
) -> None:
    places = [only(lab), msgspec.structs.replace(only(lab), name="again")]
    with Runtime(standby=0, places=places, state_dir=tmp_path) as runtime:
        wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
        done = subactors("drain", lab.hosts[0], root=tmp_path)

        assert done.stdout == f"Node {lab.hosts[0]} of the places lab and again takes no new tasks. None runs there.\n"
        assert [(node.place, node.state) for node in runtime.nodes()] == [("lab", "draining"), ("again", "draining")]


def test_a_map_in_chunks_leaves_a_node_that_is_drained_after_its_chunk(lab: SshPlace) -> None:
    with opened(lab) as runtime:
        wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
        results = runtime.map(submitted.square, itertools.count(), chunksize=2, concurrency=1, place="lab")
        assert next(results) == 0
        (task,) = [view for view in runtime.list() if not view.ended]
        runtime.drain(task.node)

        assert [next(results) for _ in range(30)] == [number**2 for number in range(1, 31)]
        assert {view.node for view in runtime.list() if not view.ended} == {*lab.hosts} - {task.node}
        results.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_task_that_waits_for_a_node_gets_that_of_a_map_in_chunks(lab: SshPlace) -> None:
    with opened(msgspec.structs.replace(only(lab), max_tasks=1)) as runtime:
        results = runtime.map(submitted.square, itertools.count(), chunksize=2, concurrency=1, place="lab")
        assert next(results) == 0
        other = runtime.run("tells_where", "go")
        # The node has room for one, and the map goes on when the other task has had it.
        assert [next(results) for _ in range(500)] == [number**2 for number in range(1, 501)]
        assert runtime.view(other).status == "completed"
        results.close()  # type: ignore[attr-defined]  # it is a generator
