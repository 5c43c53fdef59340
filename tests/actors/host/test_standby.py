"""Processes that stand by for the next actors: that they are used, replaced, dropped and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from actor_classes import Echo, Rehearsal, Worker
from hooked_actors import EndlessConstructor, FailingConstructor
from processes_and_waits import Holdings, Process, is_gone, wait_until, wait_until_at_rest
from rehearsing_actors import CountsChannels
from subactors.actors import ProcessActor, ProcessSystem, StartError
from subactors.actors.host import standby as standby_module
from subactors.runtime import Runtime
from teams import PATIENCE, entrypoint_team, run_and_wait


@pytest.fixture
def standing_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessSystem]:
    """A process system that keeps two processes standing by, and has none yet."""
    system = ProcessSystem(standby=2)
    monkeypatch.setattr(ProcessActor, "system", system)
    yield system
    system.close()


def actors_since(before: Holdings) -> list[Process]:
    return [process for process in before.new_processes() if process.name == "subactor" and not process.ended]


@contextlib.contextmanager
def one_standing_by(
    monkeypatch: pytest.MonkeyPatch, rehearsal: tuple[type[ProcessActor], tuple[Any, ...]] | None = None
) -> Iterator[ProcessSystem]:
    """Have a process system that keeps one process standing by."""
    system = ProcessSystem(standby=1, rehearsal=rehearsal)
    monkeypatch.setattr(ProcessActor, "system", system)
    try:
        yield system
    finally:
        system.close()


def forked_ahead(system: ProcessSystem) -> list[int]:
    """Return the ids of processes that have been forked ahead and have not rehearsed."""
    return [standby.pid for standby in system._standby._fresh.values()]


def two_stand_by(system: ProcessSystem) -> set[int]:
    wait_until(lambda: len(system._standby._waiting) == 2, "two processes stand by")
    return {standby.pid for standby in system._standby._waiting.values()}


def test_the_next_actors_are_the_processes_that_stand_by(standing_by: ProcessSystem) -> None:
    standing_by.prepare()
    waiting = two_stand_by(standing_by)

    actors = [Worker.start() for _ in range(2)]

    assert {actor.proxy().pid().get(timeout=PATIENCE) for actor in actors} == waiting
    for actor in actors:
        actor.stop()


def test_of_a_rehearsal_that_came_to_its_end_no_channel_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    system = ProcessSystem(standby=2, rehearsal=(CountsChannels, (True,)))
    monkeypatch.setattr(ProcessActor, "system", system)
    try:
        system.prepare()
        two_stand_by(system)
        actor = CountsChannels.start(False)
        assert actor.proxy().channels().get(timeout=PATIENCE) == 1
        actor.stop()
    finally:
        system.close()


def test_those_that_are_used_are_replaced(standing_by: ProcessSystem) -> None:
    standing_by.prepare()
    first = two_stand_by(standing_by)
    actor = Worker.start()
    assert actor.proxy().pid().get(timeout=PATIENCE) in first
    actor.stop()

    second = two_stand_by(standing_by)

    assert len(first & second) == 1


def test_when_an_actor_has_finished_the_next_process_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby_module, "_QUIET", 3600.0)
    with one_standing_by(monkeypatch) as system:
        system.prepare()
        wait_until(lambda: len(system._standby._waiting) == 1, "one stands by")
        first, second = Worker.start(), Worker.start()
        pids = {actor.proxy().pid().get(timeout=PATIENCE) for actor in (first, second)}
        assert not forked_ahead(system)

        first.stop()
        wait_until(lambda: forked_ahead(system), "the next is forked")

        (next_pid,) = forked_ahead(system)
        third = Worker.start()
        assert third.proxy().pid().get(timeout=PATIENCE) == next_pid
        assert next_pid not in pids
        second.stop()
        third.stop()


def test_an_actor_takes_a_process_that_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Holdings()
    monkeypatch.setattr(standby_module, "_QUIET", 3600.0)
    with one_standing_by(monkeypatch) as system:
        system.prepare()
        wait_until(lambda: len(system._standby._waiting) == 1, "one stands by")
        (zygote,) = (process.pid for process in before.new_processes() if process.name == "subactors-zyg")
        first = Worker.start()
        first.proxy().pid().get(timeout=PATIENCE)
        os.kill(zygote, signal.SIGSTOP)
        try:
            system.call(system._standby.actor_finished)
            wait_until(lambda: len(system._standby._coming) == 1, "the next is asked for")
            pending: list[Any] = []
            starting = threading.Thread(target=lambda: pending.append(Worker.start()))
            starting.start()
            wait_until(lambda: not system._standby._coming, "it is taken")
        finally:
            os.kill(zygote, signal.SIGCONT)
        starting.join(PATIENCE)

        (second,) = pending
        assert second.proxy().pid().get(timeout=PATIENCE)
        assert len([process for process in before.new_processes() if process.name == "subactor"]) == 2
        first.stop()
        second.stop()


def test_a_killed_zygote_costs_no_start_whose_process_was_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Holdings()
    monkeypatch.setattr(standby_module, "_QUIET", 3600.0)
    with one_standing_by(monkeypatch) as system:
        system.prepare()
        wait_until(lambda: len(system._standby._waiting) == 1, "one stands by")
        (zygote,) = (process.pid for process in before.new_processes() if process.name == "subactors-zyg")
        first = Worker.start()
        os.kill(zygote, signal.SIGSTOP)
        system.call(system._standby.actor_finished)
        wait_until(lambda: len(system._standby._coming) == 1, "the next is asked for")
        pending: list[Any] = []
        starting = threading.Thread(target=lambda: pending.append(Worker.start()))
        starting.start()
        wait_until(lambda: not system._standby._coming, "it is taken")
        os.kill(zygote, signal.SIGKILL)
        starting.join(PATIENCE)

        (second,) = pending
        assert second.proxy().pid().get(timeout=PATIENCE)
        second.stop()
        del first


def test_one_that_has_not_rehearsed_does_so_in_a_quiet_moment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rehearsed = tmp_path / "rehearsed"
    rehearsed.touch()
    quiet = standby_module._QUIET
    monkeypatch.setattr(standby_module, "_QUIET", 3600.0)
    with one_standing_by(monkeypatch, rehearsal=(Rehearsal, (str(rehearsed),))) as system:
        system.prepare()
        wait_until(lambda: len(system._standby._waiting) == 1, "one stands by")
        Worker.start().stop()
        wait_until(lambda: forked_ahead(system), "the next is forked")
        (pid,) = forked_ahead(system)
        assert str(pid) not in rehearsed.read_text().split()

        monkeypatch.setattr(standby_module, "_QUIET", quiet)
        system.call(system._standby.fill)

        wait_until(lambda: len(system._standby._waiting) == 1, "it stands by again")
        assert str(pid) in rehearsed.read_text().split()


def test_more_actors_than_stand_by_start_all_the_same(standing_by: ProcessSystem) -> None:
    standing_by.prepare()
    two_stand_by(standing_by)

    actors = [Echo.start() for _ in range(6)]

    assert [actor.ask(number, timeout=PATIENCE) for number, actor in enumerate(actors)] == list(range(6))
    for actor in actors:
        actor.stop()


def test_one_that_dies_while_it_stands_by_is_not_handed_out(standing_by: ProcessSystem) -> None:
    standing_by.prepare()
    killed, pool = two_stand_by(standing_by), standing_by._standby._waiting
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(one.has_ended() for one in [*pool.values()] if one.pid in killed), "all threads have ended")

    actor = Echo.start()

    assert actor.ask("there", timeout=PATIENCE) == "there"
    actor.stop()
    assert not two_stand_by(standing_by) & killed


def test_an_actor_from_one_that_stood_by_has_the_hosts_directory_and_environment_of_its_start(
    standing_by: ProcessSystem, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing_by.prepare()
    two_stand_by(standing_by)
    folder = tmp_path_factory.mktemp("later")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SUBACTORS_TEST_LATER", "set since")

    actor = Worker.start()

    proxy = actor.proxy()
    assert proxy.directory().get(timeout=PATIENCE) == str(folder)
    assert proxy.environment().get(timeout=PATIENCE)["SUBACTORS_TEST_LATER"] == "set since"
    actor.stop()


def test_a_killed_zygote_takes_them_along_and_the_next_has_new_ones(standing_by: ProcessSystem) -> None:
    before = Holdings()
    standing_by.prepare()
    first = two_stand_by(standing_by)
    (zygote,) = (process.pid for process in before.new_processes() if process.name == "subactors-zyg")

    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: all(is_gone(pid) for pid in first), "they are gone with it")
    actor = None
    while actor is None:
        with contextlib.suppress(StartError):  # in the moment before the host hears of it
            actor = Echo.start()
    actor.stop()

    assert not two_stand_by(standing_by) & first


@pytest.mark.parametrize("killed", ["subactors-zyg", "subactor"])
def test_one_that_is_killed_before_its_first_word_ends_the_start(
    standing_by: ProcessSystem, tmp_path: Path, killed: str
) -> None:
    before = Holdings()
    standing_by.prepare()
    waiting = two_stand_by(standing_by)
    began = tmp_path / "began"
    began.touch()
    errors: list[BaseException] = []

    def start() -> None:
        try:
            EndlessConstructor.start(str(began))
        except StartError as error:
            errors.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    wait_until(began.read_text, "its constructor runs")
    assert int(began.read_text()) in waiting
    if killed == "subactor":
        os.kill(int(began.read_text()), signal.SIGKILL)
    else:
        (zygote,) = (process.pid for process in before.new_processes() if process.name == killed)
        os.kill(zygote, signal.SIGKILL)
    starting.join(PATIENCE)

    assert not starting.is_alive()
    assert len(errors) == 1


def test_a_host_that_closes_leaves_none(standing_by: ProcessSystem) -> None:
    standing_by.prepare()
    waiting = two_stand_by(standing_by)

    standing_by.close()

    assert all(is_gone(pid) for pid in waiting)


def test_a_runtime_has_as_many_as_its_settings_say() -> None:
    before = Holdings()
    with Runtime.from_mapping(entrypoint_team(), standby=1) as runtime:
        run_and_wait(runtime, "echo")
        wait_until(lambda: len(actors_since(before)) == 1, "one stands by")
    with Runtime.from_mapping(entrypoint_team(), standby=0) as runtime:
        run_and_wait(runtime, "echo")
        wait_until(lambda: not actors_since(before), "none is left")


def test_a_zygote_rehearses_briefly_between_starts_and_the_rest_when_it_is_left_in_peace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, whole = tmp_path / "short", tmp_path / "whole"
    short.touch()
    system = ProcessSystem(rehearsal=(Rehearsal, (str(whole),)), short_rehearsal=(Rehearsal, (str(short),)))
    monkeypatch.setattr(ProcessActor, "system", system)
    try:
        while len(short.read_text().split()) < 10:
            Echo.start().stop()
        wait_until(whole.exists, "the zygote has rehearsed the rest")
        # These were before: one, one that finds out what is called, and twelve for that to be adapted.
        assert len(short.read_text().split()) >= 14
        wait_until(lambda: len(short.read_text().split()) == 26, "new code of the rest is adapted, too")
    finally:
        system.close()


def test_a_zygote_with_a_short_rehearsal_alone_has_its_processes_rehearse_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed = tmp_path / "rehearsed"
    system = ProcessSystem(standby=1, short_rehearsal=(Rehearsal, (str(rehearsed),)))
    monkeypatch.setattr(ProcessActor, "system", system)
    try:
        Echo.start().stop()
        wait_until(lambda: bool(system._standby._waiting), "a process stands by")
        (standby,) = system._standby._waiting.values()
        assert str(standby.pid) in rehearsed.read_text().split()
    finally:
        system.close()


def test_an_idle_zygote_rehearses_and_has_no_thread_from_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = Holdings()
    rehearsed = tmp_path / "rehearsed"
    rehearsed.touch()
    system = ProcessSystem(rehearsal=(Rehearsal, (str(rehearsed),)))
    monkeypatch.setattr(ProcessActor, "system", system)
    try:
        system.prepare()
        wait_until(rehearsed.read_text, "the zygote has rehearsed")
        (zygote,) = (process.pid for process in before.new_processes() if process.name == "subactors-zyg")
        actor = Echo.start()

        assert actor.ask("there", timeout=PATIENCE) == "there"
        assert set(rehearsed.read_text().split()) == {str(zygote)}
        assert len(list(Path(f"/proc/{zygote}/task").iterdir())) == 1
        actor.stop()
    finally:
        system.close()


def test_where_one_actor_is_expected_nothing_is_got_ready_before_the_second(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = Holdings()
    rehearsed = tmp_path / "rehearsed"
    rehearsed.touch()
    system = ProcessSystem(standby=2, rehearsal=(Rehearsal, (str(rehearsed),)), for_many=False)
    monkeypatch.setattr(ProcessActor, "system", system)
    try:
        first = Echo.start()
        assert first.ask("alone", timeout=PATIENCE) == "alone"
        (zygote,) = (process.pid for process in before.new_processes() if process.name == "subactors-zyg")
        wait_until_at_rest(zygote)
        assert (rehearsed.read_text(), len(actors_since(before))) == ("", 1)

        second = Echo.start()
        two_stand_by(system)
        wait_until(lambda: str(zygote) in rehearsed.read_text().split(), "the zygote has rehearsed")

        first.stop()
        second.stop()
    finally:
        system.close()


@pytest.mark.parametrize("rehearsal", ["never ends", "exits"])
def test_a_rehearsal_that_goes_wrong_does_the_zygote_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rehearsal: str
) -> None:
    began = tmp_path / "began"
    began.touch()
    endless, leaving = (EndlessConstructor, (str(began),)), (FailingConstructor, ("sys.exit",))
    before = Holdings()
    system = ProcessSystem(rehearsal=endless if rehearsal == "never ends" else leaving)
    monkeypatch.setattr(ProcessActor, "system", system)
    try:
        first = Echo.start()
        (zygote,) = (process.pid for process in before.new_processes() if process.name == "subactors-zyg")
        if rehearsal == "never ends":
            wait_until(began.read_text, "it rehearses")
        wait_until_at_rest(zygote)
        second = Echo.start()

        assert second.ask("there", timeout=PATIENCE) == "there"
        assert first.ask("still there", timeout=PATIENCE) == "still there"
        assert not is_gone(zygote)
        first.stop()
        second.stop()
    finally:
        system.close()
