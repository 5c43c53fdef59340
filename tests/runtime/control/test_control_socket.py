"""The control socket as a file and a descriptor: who reaches it, for how long it is there."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_hosts import PATIENCE, TASKS, Host
from processes_and_waits import descriptors, wait_until
from run_folders import python
from subactors.actors.host.io import IOThread
from subactors.runtime import StateError
from subactors.runtime.control.client import ControlClient
from subactors.runtime.control.server import ControlServer
from subactors.runtime.control.wire import address
from subactors.runtime.tasks.messages import ListTasks, StopTasks


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.close()


@pytest.mark.parametrize("kind", ["nothing", "fifo", "socket"])
def test_a_socket_that_was_removed_or_replaced_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("subactors.runtime.control.server._LOOK_AGAIN", 0.05)
    host = Host(tmp_path)
    try:
        host.path.unlink()
        if kind == "fifo":
            os.mkfifo(host.path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as other, address(host.path) as name:
                other.bind(name)

        def is_well() -> bool:
            with contextlib.suppress(OSError):
                return host.is_well()
            return False

        wait_until(is_well, "the host is reached again")
    finally:
        host.close()
    assert not host.path.exists()


def test_a_path_may_be_longer_than_a_socket_address(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    host = Host(folder)
    try:
        assert host.is_well()
    finally:
        host.close()


def test_a_socket_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    io = IOThread("unused")
    before = set(descriptors())
    for path in (tmp_path / "nowhere" / "control.sock", tmp_path):
        with pytest.raises(StateError, match=r"The control socket .* cannot be made: "):
            ControlServer(io, path, lambda _request, _reply_to, _face: None)
    assert set(descriptors()) == before
    io.close()


def test_nobody_is_there_after_the_end(tmp_path: Path) -> None:
    host = Host(tmp_path)
    with host.connect() as client:
        assert client.ask(ListTasks(), PATIENCE) == TASKS
        number = client.send(StopTasks(["agent_task_1"]))
        assert host.asked.get(timeout=PATIENCE)
        assert host.asked.get(timeout=PATIENCE)
        host.server.close()
        host.server.close()
        with pytest.raises(ConnectionError):
            client.receive(number, StopTasks, PATIENCE)
    assert not host.path.exists()
    with pytest.raises(OSError, match="No such file"):
        host.connect()
    host.close()


def test_only_the_user_can_reach_the_socket(tmp_path: Path) -> None:
    from subactors.runtime.runs.folder import RunFolder  # noqa: PLC0415 - for this test only

    folder = RunFolder.create(tmp_path)
    host = Host(folder.path)
    try:
        assert host.path == folder.control
        assert stat.S_IMODE(host.path.parent.stat().st_mode) == 0o700
    finally:
        host.close()
        folder.release()


def test_a_process_that_the_host_has_forked_does_not_keep_the_socket(tmp_path: Path) -> None:
    forking = """\
import multiprocessing, os, sys
from pathlib import Path
from subactors.actors.host.io import IOThread
from subactors.runtime.control.server import ControlServer

def live_on(path):
    print(path, flush=True)
    open(0).read()

path = Path(sys.argv[1]) / "control.sock"
server = ControlServer(IOThread("io"), path, lambda request, reply_to, face: None)
process = multiprocessing.get_context("fork").Process(target=live_on, args=(path,))
process.start()
process.join()
"""
    with python(forking, tmp_path) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        program.stdout.readline()
        with ControlClient(tmp_path / "control.sock", PATIENCE) as client:
            number = client.send(ListTasks())
            program.kill()
            program.wait()
            with pytest.raises(ConnectionError):
                client.receive(number, ListTasks, PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            ControlClient(tmp_path / "control.sock", PATIENCE)
        program.stdin.close()
        assert program.stdout.read() == ""
