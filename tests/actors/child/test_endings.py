"""How processes end, what is told of it, and that nothing which they started outlives them."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from actor_classes import Daemon, Echo, GrandchildKind, Worker
from hooked_actors import FailingOnStart
from process_listeners import Started
from processes_and_waits import is_gone
from subactors.actors import ErrorData, ProcessExit, ProcessSystem

PATIENCE = 30.0


def ended(system: ProcessSystem, method: str, *args: Any) -> ProcessExit:
    """Return how a worker ended that was told to do something to itself."""
    started = Started(system, Worker)
    getattr(started.proxy, method).defer(*args)
    return started.wait_for_end()


# --- what is told ---------------------------------------------------------------------------------------------------


def test_a_normal_end_is_told_as_such(system: ProcessSystem) -> None:
    started = Started(system, Worker)
    started.reference.stop()
    end = started.wait_for_end()
    assert end.normal
    assert (end.ready, end.finished, end.code, end.signal, end.killed) == (True, True, 0, None, False)
    assert str(end) == "ended normally"


def test_events_come_in_the_order_of_a_life_and_the_end_comes_once(system: ProcessSystem) -> None:
    started = Started(system, Worker)
    started.reference.stop()
    started.reference.stop()
    events: list[str] = []
    while not events or events[-1] != "ended":
        events.append(started.listener.heard.get(timeout=PATIENCE).event)
    Started(system, Echo).reference.stop()  # a whole life later there is still nothing more
    assert events == ["ready", "finished", "ended"]
    assert started.listener.heard.empty()


def test_an_exception_is_told_with_its_traceback(system: ProcessSystem) -> None:
    end = ended(system, "fail", "own")
    assert (end.finished, end.normal, end.code) == (True, False, 0)
    assert end.error is not None
    assert str(end) == "raised actor_classes.OwnError: a bad thing"
    assert 'raise OwnError("a bad thing")' in end.error.traceback


def test_a_failing_on_start_is_told(system: ProcessSystem) -> None:
    end = Started(system, FailingOnStart).wait_for_end()
    assert end.ready
    assert str(end) == "raised actor_classes.OwnError: cannot begin"


def test_an_exit_behind_pythons_back_is_told_with_its_status(system: ProcessSystem) -> None:
    end = ended(system, "exit_at_once", 3)
    assert (end.finished, end.code, end.signal, end.normal) == (False, 3, None, False)
    assert str(end) == "ended by itself with exit status 3"


def test_an_exit_with_status_0_behind_pythons_back_is_not_normal(system: ProcessSystem) -> None:
    end = ended(system, "exit_at_once", 0)
    assert (end.code, end.finished, end.normal) == (0, False, False)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGXCPU])
def test_a_signal_is_told_by_name(system: ProcessSystem, number: signal.Signals) -> None:
    end = ended(system, "signal_self", int(number))
    assert (end.signal, end.signal_name, end.code, end.killed) == (number, number.name, None, False)
    assert f"was ended by {number.name}" in str(end)


def test_a_kill_that_was_not_ours_is_told_from_one_that_was(system: ProcessSystem) -> None:
    foreign = ended(system, "signal_self", int(signal.SIGKILL))
    assert "which was not sent from here" in str(foreign)
    started = Started(system, Worker)
    started.process.kill()
    ours = started.wait_for_end()
    assert (ours.killed, str(ours)) == (True, "was killed")


def test_cpu_time_and_memory_are_told(system: ProcessSystem) -> None:
    end = ended(system, "exit_at_once", 0)
    assert end.user_seconds + end.system_seconds > 0
    assert end.peak_bytes > 1_000_000


def test_a_kill_after_the_end_is_without_effect(system: ProcessSystem) -> None:
    started = Started(system, Worker)
    started.reference.stop()
    end = started.wait_for_end()
    started.process.kill()
    started.process.dump_stack()
    assert started.process.end == end


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (ProcessExit(violation="a torn frame", signal=9, killed=True), "broke the protocol: a torn frame"),
        (ProcessExit(error=ErrorData("builtins.ValueError", "no"), code=0), "raised ValueError: no"),
        (ProcessExit(unobserved="the zygote ended"), "ended in a way nobody could observe: the zygote ended"),
        (ProcessExit(signal=24), "was ended by SIGXCPU (CPU time limit)"),
        (ProcessExit(signal=60), "was ended by signal 60"),
        (ProcessExit(finished=True, code=5), "ended with exit status 5 after its last message"),
    ],
)
def test_an_end_is_a_clause_for_people(end: ProcessExit, sentence: str) -> None:
    assert str(end) == sentence
    assert not end.normal


# --- nothing outlives an actor --------------------------------------------------------------------------------------

KINDS: list[GrandchildKind] = ["plain", "own session", "daemon", "nohup", "channel holder"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_what_an_actor_started_is_gone_when_its_end_is_told(
    system: ProcessSystem, kind: GrandchildKind, how: str
) -> None:
    started = Started(system, Worker)
    grandchild = started.proxy.grandchild(kind).get(timeout=PATIENCE)
    assert not is_gone(grandchild)
    if how == "stopped":
        started.reference.stop()
    else:
        started.process.kill()
    assert started.wait_for_end().survivors == 0
    assert is_gone(grandchild)


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_actor_started_is_gone_when_it_crashes(system: ProcessSystem, kind: GrandchildKind) -> None:
    started = Started(system, Worker)
    grandchild = started.proxy.grandchild(kind).get(timeout=PATIENCE)
    started.proxy.signal_self.defer(int(signal.SIGSEGV))
    assert started.wait_for_end().signal_name == "SIGSEGV"
    assert is_gone(grandchild)


def test_a_whole_crowd_is_gone(system: ProcessSystem) -> None:
    started = Started(system, Worker)
    crowd = [started.proxy.grandchild(kind).get(timeout=PATIENCE) for kind in KINDS for _ in range(3)]
    started.process.kill()
    started.wait_for_end()
    assert all(map(is_gone, crowd))


def test_a_daemon_whose_parents_are_gone_belongs_to_its_actor(system: ProcessSystem) -> None:
    started = Started(system, Daemon)
    daemon = started.proxy.daemon_pid.get(timeout=PATIENCE)
    started.reference.stop()
    assert is_gone(daemon)


@pytest.mark.parametrize("kind", KINDS)
def test_what_another_actor_started_is_left_alone(system: ProcessSystem, kind: GrandchildKind) -> None:
    killed, other = Started(system, Worker), Started(system, Worker)
    grandchild = other.proxy.grandchild(kind).get(timeout=PATIENCE)
    killed.proxy.grandchild(kind).get(timeout=PATIENCE)
    killed.process.kill()
    killed.wait_for_end()
    assert not is_gone(grandchild)
    assert other.proxy.pid().get(timeout=PATIENCE) == other.process.pid
    other.reference.stop()
    assert is_gone(grandchild)


def test_actors_that_die_at_the_same_moment_are_each_told_once(system: ProcessSystem) -> None:
    crowd = [Started(system, Worker) for _ in range(12)]
    for started in crowd:
        started.proxy.grandchild("own session").get(timeout=PATIENCE)
    for started in crowd:
        assert started.process.pid is not None
        os.kill(started.process.pid, signal.SIGKILL)
    assert [started.wait_for_end().signal for started in crowd] == [signal.SIGKILL] * 12
    assert all(started.listener.heard.empty() for started in crowd)
