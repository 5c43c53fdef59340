"""Tasks on nodes that are reached by ssh: this machine, as if it were others, by a server for ssh on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from first_forms import first_always
from node_teams import TEAM, agents_of_nodes, ended, nodes_of, only, opened, said
from processes_and_waits import is_gone, wait_until
from ssh_server import needs_sshd, ssh_place
from subactors.actors import NodeLink
from subactors.actors.host import handshake, node_link, versions
from subactors.runtime import Runtime
from subactors.runtime.nodes import finding, ssh
from subactors.runtime.nodes.place import NodePlace
from subactors.runtime.tasks.watching import TaskChanges, WatchTasks
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


def test_a_large_result_and_the_log_come_home_with_the_end(lab: SshPlace) -> None:
    with opened(only(lab)) as runtime:
        view = ended(runtime, runtime.run("writes_a_large_result", "9000000"))

        assert (view.status, view.reason) == ("completed", "")
        assert view.result == "r" * 9_000_000
        log = runtime._host.folder.log / f"{view.id}.log"
        assert log.read_bytes() == b"e" * 9_000_000


def test_all_that_a_task_says_arrives_in_order_and_before_its_end(lab: SshPlace) -> None:
    with opened(only(lab), max_output=30_000_000) as runtime:
        view = ended(runtime, runtime.run("says_much", "20"))

        assert (view.status, view.result, view.output_size) == ("completed", 20_000_000, 20_000_000)


@pytest.mark.slow
def test_a_private_folder_is_on_the_node_and_its_view_names_that(lab: SshPlace) -> None:
    with opened(only(lab)) as runtime:
        view = ended(runtime, runtime.run("private", "go"))

        folder = view.result["folder"]
        assert folder.startswith(lab.folder)
        assert view.workdir == f"{lab.hosts[0]}:{folder}"


def test_the_modules_of_a_team_file_are_sent_to_the_node(lab: SshPlace, tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("from pathlib import Path\n\ndef work(task):\n    return __file__\n")
    (tmp_path / "team.yaml").write_text("agents:\n  worker: {entrypoint: only_here:work}\n")
    place = only(lab)
    with Runtime.from_file(tmp_path / "team.yaml", standby=0, places=(place,), place=place.name) as runtime:
        view = ended(runtime, runtime.run("worker", "go"))

        assert view.status == "completed", view.reason
        assert view.result.startswith(lab.folder)


def test_modules_are_sent_to_a_machine_once_for_all_runs(
    lab: SshPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "only_there.py").write_text("def work(task):\n    return 'done'\n")
    (tmp_path / "team" / "team.yaml").write_text("agents:\n  worker: {entrypoint: only_there:work}\n")
    place = msgspec.structs.replace(only(lab), folder=str(tmp_path / "there"))
    sent: list[int] = []
    send = NodePlace._send_code

    def counted(self: NodePlace, node: NodeLink, names: tuple[str, ...]) -> None:
        sent.append(len(names))
        send(self, node, names)

    monkeypatch.setattr(NodePlace, "_send_code", counted)
    results = []
    for _ in range(2):
        team = tmp_path / "team" / "team.yaml"
        with Runtime.from_file(team, standby=0, places=(place,), place=place.name) as runtime:
            results.append(ended(runtime, runtime.run("worker", "go")).result)

    assert (results, sent) == (["done", "done"], [1])


def test_whoever_watches_sees_the_tasks_on_nodes_and_what_they_use(lab: SshPlace, tmp_path: Path) -> None:
    with opened(only(lab), state_dir=tmp_path) as runtime:
        task = runtime.run("leaves_a_daemon", "go")

        def watched() -> TaskChanges:
            return runtime._host.ask(WatchTasks(samples=True)).result(PATIENCE)

        wait_until(lambda: task.id in watched().samples, "it is seen what it uses", limit=PATIENCE)
        assert [change["id"] for change in watched().changed] == [task.id]


@pytest.mark.slow
def test_tasks_on_a_node_that_close_their_connection_are_ended_in_the_same_words_as_here(lab: SshPlace) -> None:
    with opened(only(lab)) as runtime:
        tasks = [runtime.run("closes_its_connection", "go") for _ in range(8)]
        reasons = {ended(runtime, task).reason.partition(":")[0] for task in tasks}

    assert reasons == {"Nothing that it says arrives any more"}


def test_a_module_that_a_node_lacks_is_an_error_with_what_helps_there(lab: SshPlace, tmp_path: Path) -> None:
    (tmp_path / "wants_more.py").write_text("import not_installed_there\n")
    (tmp_path / "team.yaml").write_text(
        "agents:\n"
        "  missing: {entrypoint: nowhere_at_all:work}\n"
        "  wants: {entrypoint: wants_more:work}\n"
        "  model: {model: python/nowhere_at_all:answer}\n"
    )
    place = only(lab)
    with Runtime.from_file(tmp_path / "team.yaml", standby=0, places=(place,), place=place.name) as runtime:
        tasks = [runtime.run(agent, "go") for agent in ("missing", "wants", "model")]
        reasons = [ended(runtime, task).reason for task in tasks]

    remedy = "Put it beside the team file, name it under `py_modules` of place lab, or install it on the node."
    assert f"there is no module 'nowhere_at_all' on this node. {remedy}" in reasons[0]
    assert f"No module named 'not_installed_there'. {remedy}" in reasons[1]
    assert f"there is no module 'nowhere_at_all' on this node. {remedy}" in reasons[2]


# --- what cannot be had ---------------------------------------------------------------------------------------------


@first_always(
    ("change", "words"),
    [
        ({"python": "/nowhere/python"}, "No such file or directory"),
        ({"options": ("-F", "none", "-p", "1")}, "Connection refused"),
        ({"folder": "/proc/nothing"}, "its folder /proc/nothing"),
        ({"workdir": "/nowhere"}, "there is no folder /nowhere on this node"),
    ],
)
def test_a_task_that_no_node_can_take_has_failed_and_says_why(
    lab: SshPlace, change: dict[str, Any], words: str
) -> None:
    with opened(msgspec.structs.replace(only(lab), **change)) as runtime:
        view = ended(runtime, runtime.run("tells_where", "go"))

    assert view.status == "failed"
    assert words in view.reason


@pytest.fixture
def _tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "_AGAIN", 0.1)


@pytest.mark.usefixtures("_tried_again_at_once")
def test_a_node_whose_folder_is_gone_is_replaced_before_it_is_given_a_task(lab: SshPlace, tmp_path: Path) -> None:
    with opened(msgspec.structs.replace(only(lab), folder=str(tmp_path))) as runtime:
        wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"], "it serves", limit=PATIENCE)
        (former,) = tmp_path.glob("node_*")
        shutil.rmtree(former)
        wait_until(lambda: set(tmp_path.glob("node_*")) - {former}, "there is another", limit=PATIENCE)

        assert ended(runtime, runtime.run("tells_where", "go")).status == "completed"


@pytest.mark.usefixtures("_tried_again_at_once")
def test_a_node_whose_folder_is_gone_falls_with_its_tasks_at_the_next_and_says_why(
    lab: SshPlace, tmp_path: Path
) -> None:
    with opened(msgspec.structs.replace(only(lab), folder=str(tmp_path / "node"))) as runtime:
        first = runtime.run("again", str(tmp_path / "mark"))
        said(runtime, first)
        (folder,) = (tmp_path / "node").glob("node_*")
        shutil.rmtree(folder)
        view = ended(runtime, runtime.run("private", "go"))

        assert view.status == "failed"
        assert view.reason.startswith(f"Node {lab.hosts[0]} was lost (its folder {folder} is gone")
        assert (ended(runtime, first).result, runtime.view(first).attempts) == ("again", 2)


@pytest.mark.slow
def test_a_node_with_another_version_is_refused_in_words(lab: SshPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = versions.own_versions()
    other = msgspec.structs.replace(ours, package="99.0")
    monkeypatch.setattr(versions, "own_versions", lambda: other)
    with opened(only(lab)) as runtime:
        view = ended(runtime, runtime.run("tells_where", "go"))

    assert f"it has subactors {ours.package}, and this host 99.0: install the same there" in view.reason


# --- what becomes of nodes ------------------------------------------------------------------------------------------


def test_a_node_whose_agent_is_killed_is_lost_once_and_nothing_of_its_tasks_is_left(lab: SshPlace) -> None:
    with opened(only(lab)) as runtime:
        tasks = [runtime.run("leaves_a_daemon", "go") for _ in range(3)]
        pids = [int(pid) for task in tasks for pid in said(runtime, task).split()]
        (agent,) = agents_of_nodes()
        agent.kill()

        views = [ended(runtime, task) for task in tasks]

        assert {(view.status, view.reason) for view in views} == {
            ("failed", f"Node {lab.hosts[0]} was lost (it closed its connection).")
        }
        wait_until(lambda: all(map(is_gone, pids)), "nothing of them is left", limit=PATIENCE)


def test_a_task_of_a_lost_node_begins_anew_on_another(runtime: Runtime, tmp_path: Path) -> None:
    wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
    task = runtime.run("again", str(tmp_path / "mark"))
    said(runtime, task)
    (where,) = [node.name for node in nodes_of(runtime) if node.tasks]
    for agent in agents_of_nodes():
        if agent.children():
            environ = {process.pid for process in agent.children(recursive=True)}
            if runtime.view(task).pid in environ:
                agent.kill()

    view = ended(runtime, task)

    assert (view.status, view.result, view.attempts) == ("completed", "again", 2)
    assert where in {node.name for node in nodes_of(runtime) if node.state == "lost"}


@pytest.mark.slow
def test_a_drained_node_takes_no_new_task_and_its_tasks_go_on(runtime: Runtime) -> None:
    wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
    first = runtime.run("leaves_a_daemon", "go")
    said(runtime, first)
    (where,) = [node.name for node in nodes_of(runtime) if node.tasks]
    drain(runtime, where)
    others = [runtime.run("leaves_a_daemon", "go") for _ in range(3)]
    for task in others:
        said(runtime, task)

    assert {node.name: (node.state, node.tasks) for node in nodes_of(runtime)}[where] == ("draining", 1)
    assert runtime.view(first).status == "running"


def drain(runtime: Runtime, name: str, *, stop: bool = False) -> None:
    places = runtime._host._places
    assert places is not None
    drained: Future[str] = Future()
    places.drain(name, stop=stop, done=drained.set_result)
    assert drained.result(PATIENCE) == ""


@pytest.mark.slow
@pytest.mark.usefixtures("_tried_again_at_once")
def test_a_drained_node_whose_agent_is_killed_comes_back_drained(lab: SshPlace) -> None:
    with opened(only(lab)) as runtime:
        wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"], "it serves", limit=PATIENCE)
        drain(runtime, lab.hosts[0])
        (agent,) = agents_of_nodes()
        agent.kill()
        wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["lost"], "it is lost", limit=PATIENCE)

        wait_until(lambda: [node.state for node in nodes_of(runtime)] != ["lost"], "it is back", limit=PATIENCE)
        states = {"connecting"}
        while states == {"connecting"}:
            states = {node.state for node in nodes_of(runtime)}

        assert states == {"draining"}
        assert f"{lab.hosts[0]} is drained." in ended(runtime, runtime.run("tells_where", "go")).reason


def test_a_task_that_a_drained_node_is_rid_of_begins_anew_elsewhere(runtime: Runtime, tmp_path: Path) -> None:
    wait_until(lambda: [node.state for node in nodes_of(runtime)] == ["serving"] * 2, "both serve", limit=PATIENCE)
    task = runtime.run("again", str(tmp_path / "mark"))
    said(runtime, task)
    (where,) = [node.name for node in nodes_of(runtime) if node.tasks]
    drain(runtime, where, stop=True)

    view = ended(runtime, task)

    assert (view.status, view.result, view.attempts) == ("completed", "again", 2)


@pytest.mark.slow
def test_a_node_whose_memory_is_nearly_used_up_ends_its_largest_task(
    lab: SshPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "kept_free", lambda _: 1.0)  # so that it always is
    with opened(only(lab)) as runtime:
        view = ended(runtime, runtime.run("leaves_a_daemon", "go"))

    assert view.status == "failed"
    assert view.reason.startswith(f"Node {lab.hosts[0]} ended it: its memory was nearly used up (")


@pytest.fixture
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_link, "PATIENCE", 2.5)
    monkeypatch.setattr(handshake, "LEASE", 1.5)
    monkeypatch.setattr(node_link, "BEAT_EVERY", 0.2)


@pytest.mark.slow
@pytest.mark.usefixtures("_little_patience")
def test_a_node_that_is_silent_is_lost_and_what_runs_there_ends_though_its_agent_is_stopped(lab: SshPlace) -> None:
    with opened(only(lab)) as runtime:
        task = runtime.run("leaves_a_daemon", "go")
        pid, daemon = map(int, said(runtime, task).split())
        (agent,) = agents_of_nodes()
        agent.send_signal(signal.SIGSTOP)

        view = ended(runtime, task)

        assert view.reason == f"Node {lab.hosts[0]} was lost (no sign of life for 2.5 s)."
        agent.send_signal(signal.SIGCONT)
        wait_until(lambda: is_gone(pid) and is_gone(daemon), "nothing of it is left", limit=PATIENCE)


@pytest.mark.slow
@pytest.mark.usefixtures("_little_patience")
def test_what_runs_on_a_node_whose_agent_is_stopped_ends_before_its_host_gives_the_node_up(
    lab: SshPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_link, "PATIENCE", 10 * PATIENCE)
    with opened(only(lab)) as runtime:
        task = runtime.run("leaves_a_daemon", "go")
        pids = list(map(int, said(runtime, task).split()))
        (agent,) = agents_of_nodes()
        agent.send_signal(signal.SIGSTOP)

        wait_until(lambda: all(map(is_gone, pids)), "the zygote's lease has ended", limit=PATIENCE)

        wait_until(lambda: not agent.is_running(), "the agent, too, is not left", limit=PATIENCE)
        assert ended(runtime, task).status == "failed"


@pytest.mark.slow
@pytest.mark.usefixtures("_little_patience")
def test_a_node_that_hears_nothing_of_its_host_ends_all_with_its_lease(lab: SshPlace) -> None:
    with opened(only(lab)) as runtime:
        task = runtime.run("leaves_a_daemon", "go")
        pids = list(map(int, said(runtime, task).split()))
        lines = [process for process in psutil.Process().children() if process.name() == "ssh"]
        for line in lines:
            line.send_signal(signal.SIGSTOP)  # as a line that is cut: nothing comes, and no end of it either

        wait_until(lambda: all(map(is_gone, pids)), "the lease has ended", limit=PATIENCE)

        for line in lines:
            line.send_signal(signal.SIGCONT)
        assert ended(runtime, task).status == "failed"


@pytest.mark.slow
def test_a_host_that_is_killed_leaves_nothing_on_its_nodes(lab: SshPlace) -> None:
    program = (
        "import msgspec, time\n"
        "from subactors.runtime import Runtime\n"
        "from subactors.runtime.team.places import SshPlace\n"
        f"place = msgspec.json.decode({msgspec.json.encode(only(lab))!r}, type=SshPlace)\n"
        f"team = msgspec.json.decode({msgspec.json.encode(TEAM)!r})\n"
        "with Runtime.from_mapping(team, standby=0, places=(place,), place=place.name) as runtime:\n"
        "    task = runtime.run('leaves_a_daemon', 'go')\n"
        "    while '\\n' not in runtime.view(task).output: time.sleep(0.01)\n"
        "    print(runtime.view(task).output, flush=True)\n"
        "    time.sleep(600)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    host = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environ, text=True)
    assert host.stdout is not None
    with host.stdout:
        pids = list(map(int, host.stdout.readline().split()))
        host.kill()
        host.wait()

    assert len(pids) == 2
    wait_until(lambda: all(map(is_gone, pids)), "nothing is left", limit=PATIENCE)
