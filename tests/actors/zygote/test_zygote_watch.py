"""A zygote that is stopped or stuck: it is noticed and replaced, and a slow one is not taken for one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from actor_classes import Echo, Rehearsal, Worker
from process_listeners import Listener, Started
from processes_and_waits import children_of, is_gone, wait_until, wait_until_at_rest
from subactors.actors import ActorProcess, ProcessSystem, StartError
from subactors.actors.host import processes as processes_module
from subactors.actors.host import zygote as connection_module

PATIENCE = 30.0


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the time, so that a test need not take as long."""
    for module in (processes_module, connection_module):
        monkeypatch.setattr(module, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(connection_module, "_STOPPED_LIMIT", 0.2)
    monkeypatch.setattr(connection_module, "_SILENCE_LIMIT", 0.5)


def zygotes() -> list[int]:
    return [pid for pid in children_of(os.getpid()) if "zyg" in Path(f"/proc/{pid}/comm").read_text()]


@pytest.fixture
def zygote(own_system: ProcessSystem, short_looks: None) -> int:
    """The zygote of the test's own system, which has forked before and is at rest."""
    del short_looks
    Started(own_system, Echo).reference.stop()
    (zygote,) = zygotes()
    wait_until_at_rest(zygote)
    return zygote


def ask_for(system: ProcessSystem, count: int) -> list[ActorProcess]:
    return [system.spawn(Worker, listener=Listener()) for _ in range(count)]


def test_what_was_asked_of_a_stopped_one_is_started_by_the_next(own_system: ProcessSystem, zygote: int) -> None:
    os.kill(zygote, signal.SIGSTOP)
    processes = ask_for(own_system, 8)
    for process in processes:
        process.ready.result(PATIENCE)
    assert is_gone(zygote)
    assert len(zygotes()) == 1


def test_what_was_asked_of_one_that_is_killed_meanwhile_is_started_by_the_next(
    own_system: ProcessSystem, zygote: int
) -> None:
    os.kill(zygote, signal.SIGSTOP)
    processes = ask_for(own_system, 3)
    os.kill(zygote, signal.SIGKILL)
    for process in processes:
        process.ready.result(PATIENCE)


def test_what_is_to_be_killed_by_then_is_not_asked_of_the_next(own_system: ProcessSystem, zygote: int) -> None:
    os.kill(zygote, signal.SIGSTOP)
    listener = Listener()
    process = own_system.spawn(Worker, listener=listener)
    process.kill()
    os.kill(zygote, signal.SIGKILL)
    assert listener.wait_for("ended").unobserved
    assert process.pid is None


@pytest.mark.slow
def test_more_than_its_socket_takes_is_started_by_the_next(own_system: ProcessSystem, zygote: int) -> None:
    os.kill(zygote, signal.SIGSTOP)
    connection = own_system._zygotes._zygote
    assert connection is not None
    connection._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there is
    processes = ask_for(own_system, 1)
    while not connection._unsent:
        processes += ask_for(own_system, 1)
    for process in processes:
        process.ready.result(PATIENCE)
        process.stop()


def test_a_message_and_a_stop_that_came_early_reach_what_is_started_by_the_next(
    own_system: ProcessSystem, zygote: int, tmp_path: Path
) -> None:
    os.kill(zygote, signal.SIGSTOP)
    listener = Listener()
    process = own_system.spawn(Rehearsal, (str(tmp_path / "file"),), listener=listener)
    process.stop()
    assert listener.wait_for("ended").finished
    assert (tmp_path / "file").read_text().count("\n") == 1  # it has been begun once


def test_those_that_run_end_with_a_stopped_one_and_are_told_why(own_system: ProcessSystem, short_looks: None) -> None:
    del short_looks
    running = Started(own_system, Worker)
    (zygote,) = zygotes()
    os.kill(zygote, signal.SIGSTOP)
    (process,) = ask_for(own_system, 1)
    end = running.wait_for_end()
    assert "the zygote was stopped" in end.unobserved
    assert "its processes with it" in end.unobserved
    process.ready.result(PATIENCE)


def test_an_exit_that_a_stopped_one_does_not_report_gives_it_away(own_system: ProcessSystem, short_looks: None) -> None:
    del short_looks
    running = Started(own_system, Worker)
    (zygote,) = zygotes()
    os.kill(zygote, signal.SIGSTOP)
    running.process.kill()
    assert "the zygote was stopped" in running.wait_for_end().unobserved
    assert is_gone(zygote)


@pytest.mark.parametrize("how", ["sleeping", "computing"])
def test_what_was_asked_of_a_stuck_one_is_started_by_the_next(
    how: str, short_looks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del short_looks
    (tmp_path / "stuck_once.py").write_text(
        "import ctypes, pathlib, re\n"
        f"mark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
        "if not mark.exists():\n"
        "    mark.touch()\n"
        + ("    ctypes.PyDLL(None).sleep(600)\n" if how == "sleeping" else "    re.match('(a*)*b', 'a' * 64)\n")
    )
    monkeypatch.setattr(connection_module, "_LOADING_LIMIT", 0.5)
    monkeypatch.syspath_prepend(str(tmp_path))
    system = ProcessSystem(preload=["stuck_once"])
    try:
        Started(system, Echo)
    finally:
        system.close()


def test_where_each_one_ends_at_once_a_start_fails_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    system = ProcessSystem(preload=["deadly"])
    try:
        with pytest.raises(StartError, match="the zygote ended with status -9"):
            Started(system, Echo)
    finally:
        system.close()


def test_one_of_which_nothing_is_asked_may_be_stopped(
    own_system: ProcessSystem, zygote: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Started(own_system, Worker)
    looks = 0
    look = connection_module.ZygoteConnection.look

    def counted(self: connection_module.ZygoteConnection, *, awaited: bool) -> None:
        nonlocal looks
        look(self, awaited=awaited)
        looks += 1

    os.kill(zygote, signal.SIGSTOP)
    monkeypatch.setattr(connection_module.ZygoteConnection, "look", counted)
    wait_until(lambda: looks > 5, "it has been looked at")
    os.kill(zygote, signal.SIGCONT)
    assert running.proxy.pid().get(timeout=PATIENCE) == running.process.pid
    assert zygotes() == [zygote]
    running.reference.stop()


def test_closing_waits_for_no_stopped_one(own_system: ProcessSystem, zygote: int) -> None:
    running = Started(own_system, Worker)
    daemon = running.proxy.grandchild("daemon").get(timeout=PATIENCE)
    os.kill(zygote, signal.SIGSTOP)
    (process,) = ask_for(own_system, 1)
    own_system.close(grace=0.1)
    assert process.end is not None
    assert running.process.end is not None
    assert is_gone(daemon)


@pytest.fixture
def program() -> Iterator[Callable[[str], int]]:
    """Starts a program and returns its process id."""
    started = []

    def start(code: str) -> int:
        program = subprocess.Popen([sys.executable, "-c", f"print(flush=True)\n{code}"], stdout=subprocess.PIPE)
        assert program.stdout is not None
        program.stdout.readline()
        started.append(program)
        return program.pid

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_one_that_sleeps_is_stuck_after_so_many_looks_however_much_time_passes(program: Callable[[str], int]) -> None:
    watch = connection_module._Watch(pid := program("import time; time.sleep(600)"))
    wait_until_at_rest(pid)
    looks = [watch.silent(loading=False) for _ in range(5)]
    assert [bool(what) for what in looks] == [False, False, False, False, True]
    assert "said nothing for 5 s" in looks[-1]
    watch.heard()
    assert watch.silent(loading=False) == ""


def test_one_that_had_no_core_is_not_stuck_however_often_it_is_looked_at(program: Callable[[str], int]) -> None:
    watch = connection_module._Watch(program("while True: pass"))
    assert not any(watch.silent(loading=False) for _ in range(200))


def test_one_that_is_stopped_is_known_for_it_at_the_second_look(program: Callable[[str], int]) -> None:
    os.kill(pid := program("while True: pass"), signal.SIGSTOP)
    wait_until(lambda: connection_module._is_stopped(pid), "it is stopped")
    watch = connection_module._Watch(pid)
    assert [watch.silent(loading=True) for _ in range(2)] == ["", "was stopped, by a signal or a debugger"]
