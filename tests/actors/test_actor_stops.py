"""Ends of actors in processes of their own: stopped, killed, or by themselves, and who hears of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pykka
import pytest
from actor_classes import Echo, Worker
from answers_and_hooks import PATIENCE, get, hooks
from hooked_actors import FailingOnStop, Hooked
from process_listeners import Started
from processes_and_waits import is_gone, wait_until
from subactors.actors import ProcessSystem

pytestmark = pytest.mark.usefixtures("system")


def test_a_stop_returns_true_when_the_process_is_gone() -> None:
    actor = Worker.start()
    pid = get(actor.proxy().pid())
    assert actor.stop() is True
    assert is_gone(pid)
    assert not actor.is_alive()


def test_a_stop_of_a_dead_actor_returns_false() -> None:
    actor = Echo.start()
    assert actor.stop() is True
    assert actor.stop() is False


def test_two_stops_at_once_both_return_when_the_process_is_gone() -> None:
    actor = Worker.start()
    pid = get(actor.proxy().pid())
    stops = [actor.stop(block=False) for _ in range(2)]
    assert [stop.get(timeout=PATIENCE) for stop in stops] == [True, True]
    assert is_gone(pid)


def test_what_was_sent_before_a_stop_is_handled_first_and_what_came_after_is_not() -> None:
    actor = Worker.start()
    proxy = actor.proxy()
    proxy.sleep.defer(0.05)
    before = proxy.answer("everything")
    stop = actor.stop(block=False)
    after = proxy.answer("everything")
    assert len(get(before)) == 7
    with pytest.raises(pykka.ActorDeadError):
        get(after)
    assert stop.get(timeout=PATIENCE) is True


def test_a_stop_is_heard_at_once_even_while_the_actor_is_busy(tmp_path: Path) -> None:
    file = tmp_path / "hooks"
    actor = Hooked.start(str(file))
    answer = actor.ask("work until stopped", block=False)
    wait_until(lambda: "on_receive" in hooks(file), "the actor is busy")
    actor.stop()
    assert answer.get(timeout=PATIENCE) == "work until stopped"
    assert hooks(file) == ["__init__", "on_start", "on_receive", "on_stop_requested", "on_stop"]


def test_a_stop_is_heard_by_an_idle_actor_before_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "hooks"
    actor = Hooked.start(str(file))
    actor.ask("settled", timeout=PATIENCE)
    actor.stop()
    assert hooks(file) == ["__init__", "on_start", "on_receive", "on_stop_requested", "on_stop"]


def test_an_actor_can_stop_itself() -> None:
    actor = Worker.start()
    actor.proxy().stop()
    wait_until(lambda: not actor.is_alive(), "the actor has stopped itself")


def test_an_actor_whose_on_stop_fails_ends_all_the_same(system: ProcessSystem) -> None:
    started = Started(system, FailingOnStop)
    assert started.reference.stop() is True
    error = started.wait_for_end().error
    assert error is not None
    assert str(error) == "actor_classes.OwnError: cannot end"


def test_asking_or_telling_a_dead_actor_raises() -> None:
    actor = Echo.start()
    actor.stop()
    with pytest.raises(pykka.ActorDeadError):
        actor.ask("anybody there?")
    with pytest.raises(pykka.ActorDeadError):
        actor.tell("anybody there?")
    with pytest.raises(pykka.ActorDeadError):
        actor.proxy()


def test_pending_asks_of_a_killed_actor_name_the_signal() -> None:
    actor = Worker.start()
    proxy = actor.proxy()
    pid = get(proxy.pid())
    pending = [proxy.sleep(600) for _ in range(3)]
    os.kill(pid, signal.SIGKILL)
    for future in pending:
        with pytest.raises(pykka.ActorDeadError, match=r"Worker \(urn:uuid:.*its process was ended by SIGKILL"):
            get(future)


def test_a_pending_ask_of_an_actor_that_exits_names_the_exit_status() -> None:
    actor = Worker.start().proxy()
    with pytest.raises(pykka.ActorDeadError, match="its process ended by itself with exit status 3"):
        get(actor.exit_at_once(3))


def test_a_handler_that_calls_sys_exit_ends_its_actor(system: ProcessSystem) -> None:
    started = Started(system, Worker)
    with pytest.raises(pykka.ActorDeadError, match="SystemExit: 4"):
        get(started.proxy.exit_python(4))
    end = started.wait_for_end()
    assert end.finished
    assert not end.normal
