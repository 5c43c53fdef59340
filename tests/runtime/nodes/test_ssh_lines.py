"""The ssh behind a node: where it keeps its sockets, and that what is written at its other end last is heard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from processes_and_waits import descendants_of, wait_until
from ssh_server import needs_sshd, ssh_place
from subactors.actors.host import openings, remote
from subactors.runtime import Runtime, SshPlace
from subactors.runtime.cli.place_means import place_findings
from teams import PATIENCE

pytestmark = needs_sshd

AGENTS = ("leaves_a_daemon", "tells_where")

TEAM: dict[str, Any] = {"agents": {name: {"entrypoint": f"node_entrypoints:{name}"} for name in AGENTS}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshPlace]:
    """One node."""
    with ssh_place(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def opened(place: SshPlace, state_dir: Path) -> Runtime:
    return Runtime.from_mapping(TEAM, standby=0, places=(place,), place=place.name, state_dir=state_dir)


def kill_agents() -> None:
    for process in descendants_of(os.getpid()):
        if process.name == "subactors-node":
            psutil.Process(process.pid).kill()


def test_what_is_written_last_on_a_node_says_why_it_is_lost_though_the_line_is_closed_before(
    lab: SshPlace, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n{lab.python} "$@"\nexec <&- >&-\nsleep 0.3\necho The disk is full. >&2\n')
    python.chmod(0o755)
    with opened(msgspec.structs.replace(lab, python=str(python)), tmp_path) as runtime:
        task = runtime.run("leaves_a_daemon", "go")
        wait_until(lambda: task.view().output, "it works", limit=PATIENCE)
        kill_agents()
        (view,) = runtime.wait([task], timeout=PATIENCE)

    assert view.reason == f"Node {lab.hosts[0]} was lost (The disk is full)."


def way_for_tasks() -> psutil.Process:
    """The ssh that tasks' connections go through."""
    (way,) = [process for process in psutil.Process().children() if process.cmdline()[-1:] == ["exec cat"]]
    return way


@pytest.mark.slow
def test_a_node_whose_line_for_tasks_takes_nothing_is_lost_in_words_and_leaves_no_ssh(
    lab: SshPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "PATIENCE", 1.0)
    with opened(lab, tmp_path) as runtime:
        runtime.run("tells_where", "go").result(PATIENCE)
        way = way_for_tasks()
        way.suspend()

        (view,) = runtime.wait([runtime.run("tells_where", "go")], timeout=PATIENCE)

        assert view.reason == f"Node {lab.hosts[0]} was lost (it took no connection for a task within 1 s)."
        wait_until(lambda: not way.is_running(), "its ssh is killed", limit=PATIENCE)


def test_a_task_whose_line_breaks_with_its_last_word_ends_as_its_node_does(lab: SshPlace, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def waits() -> int:
        wait_until(mark.exists, "it may end", limit=PATIENCE)
        return os.getpid()

    with opened(lab, tmp_path) as runtime:
        task = runtime.submit(waits)
        wait_until(lambda: task.view().status == "running", "it runs", limit=PATIENCE)
        (link,) = runtime._host._places._others[lab.name]._roster.links.values()  # type: ignore[union-attr]
        (process,) = link.processes.values()
        way = way_for_tasks()
        way.suspend()
        mark.touch()
        wait_until(lambda: process._seen is not None, "its node has told its end", limit=PATIENCE)
        way.kill()

        assert runtime.wait([task], timeout=PATIENCE)[0].reason.startswith(f"Node {lab.hosts[0]} was lost (")


@pytest.mark.slow
def test_a_task_that_is_stopped_before_its_node_has_forked_it_does_not_wait_for_the_node(
    lab: SshPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "PATIENCE", 10 * PATIENCE)
    monkeypatch.setattr(remote, "_KILL_LIMIT", 10 * PATIENCE)
    with opened(lab, tmp_path) as runtime:
        runtime.run("tells_where", "go").result(PATIENCE)
        way = way_for_tasks()
        way.suspend()
        task = runtime.run("tells_where", "go")
        wait_until(lambda: task.view().node, "it is on its way to the node", limit=PATIENCE)
        task.stop()

        assert runtime.wait([task], timeout=PATIENCE)[0].status == "stopped"

    assert not way.is_running()


def printing(lab: SshPlace, folder: Path, command: str) -> SshPlace:
    """The node where something is printed before the agent begins, as by a start-up file of a shell."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\n{command}\nexec {lab.python} "$@"\n')
    python.chmod(0o755)
    return msgspec.structs.replace(lab, python=str(python))


def test_what_a_shell_prints_before_the_agent_begins_is_skipped(lab: SshPlace, tmp_path: Path) -> None:
    place = printing(lab, tmp_path, "printf 'Welcome to box1!\\nLast login: '")
    with opened(place, tmp_path) as runtime:
        (view,) = runtime.wait([runtime.run("tells_where", "go")], timeout=PATIENCE)
    *_, found = place_findings((place,), ping=True)

    assert (view.status, view.reason) == ("completed", "")
    assert (found.state, found.how.partition(" after ")[0]) == ("ok", "answers")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("yes Welcome | head -c 100000", "its shell printed more than 64 kB before any agent spoke: 'Welcome Welcome "),
        ("echo No account.; exit 1", "its shell printed something before any agent spoke: 'No account.'"),
        ("printf '\\0\\0beat'; exit 1", "what answered there is no agent of this version of subactors"),
        ("printf 'No option -x.\\nUsage:\\n  python' >&2; exit 1", "No option -x … python"),
    ],
)
def test_a_node_whose_shell_prints_too_much_or_no_agent_is_not_had_in_words_that_quote_it(
    lab: SshPlace, tmp_path: Path, command: str, words: str
) -> None:
    place = printing(lab, tmp_path, command)
    with opened(place, tmp_path) as runtime:
        (view,) = runtime.wait([runtime.run("tells_where", "go")], timeout=PATIENCE)
    *_, found = place_findings((place,), ping=True)

    assert view.status == "failed"
    assert words in view.reason
    assert found.state == "!!"
    assert words in found.how


def test_sockets_of_ssh_lie_in_the_runs_folder_however_long_its_name_is_and_are_gone_with_the_run(
    lab: SshPlace, tmp_path: Path
) -> None:
    with opened(lab, tmp_path / ("x" * 120)) as runtime:
        runtime.run("tells_where", "go").result(PATIENCE)
        lines = runtime._host.folder.lines
        sockets = [path for path in lines.rglob("*") if path.is_socket()]

    assert len(sockets) == 1
    assert not lines.exists()
