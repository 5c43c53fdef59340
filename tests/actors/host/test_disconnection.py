"""Processes that lose their own channel and live on can deliver nothing: they are ended, and it is told why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import disconnecting_entrypoints
import pykka
import pytest
from disconnecting_entrypoints import WAYS, ClosesInConstructor, Disconnecting, LosesAtRehearsal
from processes_and_waits import Holdings, Process, wait_until
from subactors.actors import ProcessActor, ProcessSystem, StartError
from subactors.actors.host import process as process_module
from subactors.actors.host import processes as processes_module
from subactors.actors.host import zygote as connection_module
from subactors.runtime import Runtime
from teams import PATIENCE, entrypoint, run_and_wait

SENTENCE = "its process closed its connection to the host"
AGENTS = ["loses_and_lives_on", "loses_and_returns", "loses_and_speaks", "speaks_where_another_socket_is"]


@pytest.fixture(autouse=True, scope="module")
def _hosts_look_often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_module, "_CLOSED_CHANNEL_GRACE", 0.2)
        patch.setattr(processes_module, "_LOOK_AT_CHANNELS_EVERY", 0.05)
        for module in (processes_module, connection_module):  # what one looks after, the other adds up
            patch.setattr(module, "LOOK_EVERY", 0.05)
        yield


@pytest.fixture(scope="module")
def runtime(_hosts_look_often: None) -> Iterator[Runtime]:
    agents = {name: {"entrypoint": f"{disconnecting_entrypoints.__name__}:{name}"} for name in AGENTS}
    agents["echo"] = entrypoint("echo")
    with Runtime.from_mapping({"agents": agents}, stop_grace=5.0, standby=0) as runtime:
        run_and_wait(runtime, "echo")
        yield runtime


@pytest.mark.parametrize("how", WAYS)
def test_a_task_that_loses_its_channel_and_lives_on_is_failed(runtime: Runtime, how: str) -> None:
    (view,) = runtime.wait([runtime.run("loses_and_lives_on", how)], timeout=PATIENCE)

    assert (view.status, view.output, view.result) == ("failed", "so far ", None)
    assert SENTENCE in view.reason


@pytest.mark.parametrize("how", [way for way in WAYS if way not in {"exec", "stop reading"}])
@pytest.mark.parametrize("agent", ["loses_and_returns", "loses_and_speaks"])
def test_a_task_that_can_no_longer_say_what_it_wants_to_is_failed(runtime: Runtime, agent: str, how: str) -> None:
    (view,) = runtime.wait([runtime.run(agent, how)], timeout=PATIENCE)

    assert (view.status, view.result) == ("failed", None)
    assert SENTENCE in view.reason


def test_what_has_the_number_of_a_channel_now_is_neither_written_to_nor_read(runtime: Runtime, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    (view,) = runtime.wait([runtime.run("speaks_where_another_socket_is", str(heard))], timeout=PATIENCE)

    assert (view.status, view.output) == ("failed", "so far ")
    assert SENTENCE in view.reason
    assert not heard.exists()


@pytest.mark.parametrize("how", WAYS)
def test_an_actor_without_a_supervisor_is_ended_and_what_it_was_asked_fails(system: ProcessSystem, how: str) -> None:
    del system
    actor = Disconnecting.start()
    with pytest.raises(pykka.ActorDeadError, match=SENTENCE):
        actor.ask(how, timeout=PATIENCE)


@pytest.mark.parametrize("how", ["close all", "leave to a child", "exec"])
def test_an_actor_that_loses_its_channel_in_its_constructor_has_not_started(system: ProcessSystem, how: str) -> None:
    del system
    with pytest.raises(StartError, match=SENTENCE):
        ClosesInConstructor.start(how)


def below_zygotes(before: Holdings) -> list[Process]:
    return [process for process in before.new_processes() if process.name != "subactors-zyg"]


@pytest.mark.parametrize("how", ["stop writing", "stop both", "exec"])
def test_a_process_that_loses_its_channel_while_it_rehearses_is_ended_and_actors_start_without_it(how: str) -> None:
    before = Holdings()
    system = ProcessSystem(standby=1, rehearsal=(LosesAtRehearsal, (how,)))
    try:
        system.prepare()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ProcessActor, "system", system)
            actor = Disconnecting.start()
            assert actor.is_alive()
            actor.stop()
            wait_until(lambda: not below_zygotes(before), "none that is of no use is left")
    finally:
        system.close()
