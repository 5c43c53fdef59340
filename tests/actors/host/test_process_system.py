"""The process system: made, used from many threads, closed, and what it says when it cannot be used."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pykka
import pytest
from actor_classes import Echo, Holder, Worker
from process_listeners import Listener, Started, supervision
from processes_and_waits import children_of, descriptors, is_gone, wait_until, wait_until_at_rest
from speaking_actors import Speaker
from subactors.actors import ProcessActor, ProcessSystem, StartError, SubactorsError

PATIENCE = 30.0


def zygotes() -> list[int]:
    """Return the zygotes of this process."""
    return [pid for pid in children_of(os.getpid()) if Path(f"/proc/{pid}/comm").read_text() == "subactors-zyg\n"]


def test_making_one_starts_nothing() -> None:
    before = children_of(os.getpid()), threading.active_count()
    system = ProcessSystem()
    assert (children_of(os.getpid()), threading.active_count()) == before
    system.close()


def test_preparing_starts_the_zygote(own_system: ProcessSystem) -> None:
    own_system.prepare()
    wait_until(zygotes, "there is a zygote")
    (zygote,) = zygotes()
    started = Started(own_system, Echo)
    assert zygotes() == [zygote]
    started.reference.stop()


def test_what_is_withheld_is_in_the_environment_of_no_actor_and_no_zygote_unless_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HELD", "a value that is held back")
    system = ProcessSystem(withheld=["HELD", "NOT_SET"])
    plain, given = Started(system, Worker), Started(system, Worker, environ={"HELD": "another"})
    seen = [actor.proxy.environment().get(timeout=PATIENCE).get("HELD") for actor in (plain, given)]
    monkeypatch.setenv("OTHER", "so that the whole environment is sent")
    changed = Started(system, Worker).proxy.environment().get(timeout=PATIENCE)
    (zygote,) = zygotes()
    environs = [Path(f"/proc/{pid}/environ").read_bytes() for pid in (zygote, *children_of(zygote))]
    system.close()
    assert seen == [None, "another"]
    assert "HELD" not in changed
    assert "OTHER" in changed
    assert not any(b"a value that is held back" in environ for environ in environs)


def test_closing_right_after_preparing_leaves_nothing() -> None:
    for _ in range(5):
        system = ProcessSystem()
        system.prepare()
        system.close()
        assert zygotes() == []


def test_closing_ends_everything() -> None:
    system = ProcessSystem()
    started = [Started(system, Worker) for _ in range(3)]
    pids = [actor.process.pid for actor in started]
    grandchild = started[0].proxy.grandchild("daemon").get(timeout=PATIENCE)
    system.close()
    assert all(is_gone(pid) for pid in [*pids, grandchild] if pid)
    assert zygotes() == []
    assert all(actor.wait_for_end().normal for actor in started)
    with pytest.raises(pykka.ActorDeadError):
        started[0].reference.ask("anybody there?")


def test_closing_ends_children_that_ignore_their_stop_too() -> None:
    system = ProcessSystem()
    sleeping, stuck = Started(system, Holder), Started(system, Worker)
    sleeping.reference.tell("be busy")
    sleeping.listener.wait_for("output")
    stuck.proxy.hold_the_interpreter.defer()
    system.close(grace=0.05)
    for actor in (sleeping, stuck):
        assert actor.wait_for_end().killed
        assert actor.process.pid is not None
        assert is_gone(actor.process.pid)


def test_closing_while_actors_start_ends_them() -> None:
    system = ProcessSystem()
    processes = [system.spawn(Echo, listener=Listener()) for _ in range(5)]
    system.close()
    assert all(process.end is not None for process in processes)
    assert all(process.ready.done() for process in processes)


def test_closing_twice_or_unused_is_allowed() -> None:
    system = ProcessSystem()
    system.close()
    system.close()


def test_a_closed_system_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    system = ProcessSystem()
    system.close()
    monkeypatch.setattr(ProcessActor, "system", system)
    with pytest.raises(SubactorsError, match="The process system is closed"):
        Echo.start()
    with pytest.raises(SubactorsError, match="The process system is closed"):
        system.prepare()


def test_stopping_a_supervisor_after_the_system_is_harmless() -> None:
    system = ProcessSystem()
    with supervision(system) as supervisor:
        child = supervisor.start_and_wait(Speaker)
        system.close()
        assert supervisor.wait_for_end().normal
        supervisor.stop(child)


def test_actors_can_be_started_from_many_threads(system: ProcessSystem) -> None:
    answers: list[Any] = []

    def live() -> None:
        started = Started(system, Worker)
        answers.append(started.proxy.pid().get(timeout=PATIENCE) == started.process.pid)
        started.reference.stop()

    threads = [threading.Thread(target=live) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8


@pytest.mark.slow
def test_a_hundred_lives_leave_no_descriptor(system: ProcessSystem) -> None:
    (zygote,) = zygotes()
    wait_until_at_rest(zygote)  # a rehearsal has descriptors of its own
    before = len(descriptors()), len(descriptors(zygote))
    for _ in range(5):
        crowd = [system.spawn(Echo, listener=Listener()) for _ in range(20)]
        for process in crowd:
            process.ready.result(PATIENCE)
            process.stop()
    wait_until(lambda: (len(descriptors()), len(descriptors(zygote))) == before, "there are as many descriptors again")


def test_a_start_that_cannot_be_pickled_leaves_nothing(system: ProcessSystem) -> None:
    before = descriptors()
    with pytest.raises((TypeError, pickle.PicklingError)):
        system.spawn(Echo, (threading.Lock(),), listener=Listener())
    assert descriptors() == before


@pytest.mark.parametrize("program", ["/nowhere/python", "", None])
def test_a_python_that_cannot_be_started_is_a_start_error(
    own_system: ProcessSystem, monkeypatch: pytest.MonkeyPatch, program: str | None
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", program)
        process = own_system.spawn(Echo, listener=Listener())
        with pytest.raises(StartError, match="the zygote could not be started"):
            process.ready.result(PATIENCE)
    Started(own_system, Echo).reference.stop()


def test_a_zygote_that_fails_at_once_is_a_start_error(
    own_system: ProcessSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        process = own_system.spawn(Echo, listener=Listener())
        with pytest.raises(StartError, match="the zygote ended with status 1"):
            process.ready.result(PATIENCE)
    Started(own_system, Echo).reference.stop()


def run_in_fork(action: Any) -> str:
    """Fork this process, run something there, and return what it says."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - not seen by the parent
        try:
            os.close(reader)
            try:
                text = str(action())
            except BaseException as error:  # noqa: BLE001 - it is told to the parent
                text = f"{type(error).__name__}: {error}"
            os.write(writer, text.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as pipe:  # noqa: PTH123 - a descriptor is no path
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("use", ["start", "tell", "ask", "stop"])
def test_a_forked_process_is_told_that_it_cannot_use_the_hosts_actors(system: ProcessSystem, use: str) -> None:
    started = Started(system, Echo)
    actions = {
        "start": Echo.start,
        "tell": lambda: started.reference.tell("hello"),
        "ask": lambda: started.reference.ask("hello"),
        "stop": started.reference.stop,
    }
    assert "SubactorsError: This process was forked from the one that" in run_in_fork(actions[use])
    assert started.reference.ask("still well", timeout=PATIENCE) == "still well"
    started.reference.stop()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_that_closes_the_system_closes_nothing(system: ProcessSystem) -> None:
    started = Started(system, Echo)
    assert run_in_fork(system.close) == "None"
    assert started.reference.ask("still well", timeout=PATIENCE) == "still well"
    started.reference.stop()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_closing_ends_the_zygote_in_order_though_a_forked_process_holds_its_socket() -> None:
    system = ProcessSystem()
    Started(system, Echo).reference.stop()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    connection = system._zygotes._zygote
    assert connection is not None
    system.close()
    assert connection._program.status == 0
    os.close(writer)
    os.close(reader)
    os.waitpid(child, 0)


def test_the_default_system_is_one_and_is_made_at_first_use() -> None:
    program = (
        "import threading\n"
        "from actor_classes import Echo\n"
        "from subactors.actors.host.default import default_system\n"
        "assert threading.active_count() == 1\n"
        "actor = Echo.start()\n"
        "assert default_system() is default_system()\n"
        "print(actor.ask('hello'))\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, check=True, timeout=60)
    assert done.stdout == b"hello\n"
