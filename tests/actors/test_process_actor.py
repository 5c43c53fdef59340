"""`ProcessActor` as pykka's users know actors: a class, started in a process of its own, with hooks."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from pathlib import Path
from typing import Any, NoReturn

import pykka
import pytest
from actor_classes import Echo, Worker
from answers_and_hooks import PATIENCE, get
from hooked_actors import FailingConstructor, FailingOnStart, Hooked, WithoutSuper
from processes_and_waits import is_gone, wait_until
from proxied_actors import Greeter
from subactors.actors import ActorProcess, ProcessActor, RemoteError, StartError, SubactorsError

pytestmark = pytest.mark.usefixtures("system")


# --- start ----------------------------------------------------------------------------------------------------------


def test_an_actor_runs_in_a_process_of_its_own() -> None:
    actor = Worker.start()
    assert get(actor.proxy().pid()) != os.getpid()
    actor.stop()


def test_two_actors_have_two_processes() -> None:
    actors = [Worker.start() for _ in range(2)]
    assert len({get(actor.proxy().pid()) for actor in actors}) == 2
    for actor in actors:
        actor.stop()


def test_constructor_and_hooks_run_in_the_actors_process_on_its_main_thread(tmp_path: Path) -> None:
    file = tmp_path / "hooks"
    actor = Hooked.start(str(file))
    actor.ask("hello")
    actor.stop()
    notes = [line.split() for line in file.read_text().splitlines()]
    assert len({pid for _, pid, _ in notes} - {str(os.getpid())}) == 1
    main_thread = [hook for hook, _, thread in notes if thread == "MainThread"]
    assert main_thread == ["__init__", "on_start", "on_receive", "on_stop"]


def test_a_class_that_is_called_gives_an_object_whose_methods_can_be_tested_without_a_process() -> None:
    greeter = Greeter("Ann")
    assert greeter.greet("Bob") == "Ann greets Bob!"
    assert str(greeter) == f"Greeter ({greeter.actor_urn})"


def test_an_actor_that_was_not_started_refuses_messages() -> None:
    greeter = Greeter("Ann")
    with pytest.raises(SubactorsError, match=r"Use the class's start\(\)"):
        greeter.actor_ref.ask("anybody there?")
    with pytest.raises(SubactorsError, match=r"Use the class's start\(\)"):
        greeter.stop()


def test_an_actor_is_in_the_registry_until_it_has_stopped() -> None:
    actor = Echo.start()
    assert pykka.ActorRegistry.get_by_urn(actor.actor_urn) is actor
    assert actor in pykka.ActorRegistry.get_by_class(Echo)
    actor.stop()
    assert pykka.ActorRegistry.get_by_urn(actor.actor_urn) is None


def test_an_actor_has_on_both_sides_what_pykkas_own_constructor_gives_an_actor() -> None:
    given_by_pykka = set(vars(Worker()))
    actor = Worker.start()
    assert set(get(actor.proxy().own_attributes())) == given_by_pykka
    shell = actor._actor_weakref()
    assert given_by_pykka <= set(vars(shell))
    actor.stop()


def test_an_actor_has_the_same_urn_on_both_sides() -> None:
    actor = Worker.start()
    assert get(actor.proxy().actor_urn) == actor.actor_urn
    actor.stop()


def test_a_built_in_exception_of_the_constructor_is_raised_with_the_childs_traceback() -> None:
    with pytest.raises(ValueError, match="a bad value") as caught:
        FailingConstructor.start("builtin")
    assert 'raise ValueError("a bad value")' in "".join(caught.value.__notes__)


def test_another_exception_of_the_constructor_is_a_remote_error() -> None:
    with pytest.raises(RemoteError, match=r"^actor_classes\.OwnError: a bad thing$") as caught:
        FailingConstructor.start("own")
    assert caught.value.type_name == "actor_classes.OwnError"
    assert caught.value.message == "a bad thing"
    assert 'raise OwnError("a bad thing")' in caught.value.traceback


def test_nothing_of_a_failed_start_waits_for_the_collector() -> None:
    def is_left(item: object) -> bool:
        return type(item) is ActorProcess and item.name.startswith("FailingConstructor")

    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            FailingConstructor.start("builtin")
        wait_until(lambda: not any(map(is_left, gc.get_objects())), "its process is forgotten")
    finally:
        gc.enable()


def test_an_exception_with_unusual_text_is_still_raised() -> None:
    with pytest.raises(ValueError, match=r"half a pair: \?"):
        FailingConstructor.start("surrogate")


def test_a_process_that_exits_in_the_constructor_did_not_start() -> None:
    with pytest.raises(StartError, match="did not start: its process ended by itself with exit status 7"):
        FailingConstructor.start("os._exit")


def test_a_process_that_is_killed_in_the_constructor_did_not_start() -> None:
    with pytest.raises(StartError, match="did not start: its process was ended by SIGKILL"):
        FailingConstructor.start("signal")


def test_a_constructor_that_calls_sys_exit_does_not_end_the_host() -> None:
    with pytest.raises(RemoteError, match=r"SystemExit: 7"):
        FailingConstructor.start("sys.exit")


def test_a_start_that_is_interrupted_leaves_no_actor() -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            FailingConstructor.start("sleep")
    finally:
        signal.signal(signal.SIGALRM, before)

    # That its process goes is what every test checks of everything.


def test_an_actor_that_does_not_start_is_never_registered() -> None:
    with pytest.raises(ValueError, match="a bad value"):
        FailingConstructor.start("builtin")
    assert pykka.ActorRegistry.get_by_class(FailingConstructor) == []


def test_a_constructor_that_does_not_call_its_superclass_is_told_so() -> None:
    with pytest.raises(TypeError, match=r"WithoutSuper\.__init__\(\) did not call super\(\)\.__init__\(\)"):
        WithoutSuper.start()


def test_wrong_arguments_raise_what_they_would_raise_in_a_thread() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
        Greeter.start()


def test_arguments_that_cannot_be_pickled_raise_at_once() -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        Greeter.start(threading.Lock())


def test_an_actor_whose_on_start_fails_ends() -> None:
    actor = FailingOnStart.start()
    wait_until(lambda: not actor.is_alive(), "the actor is dead")
    with pytest.raises(pykka.ActorDeadError):
        actor.ask("anybody there?", timeout=PATIENCE)


# --- where a class comes from ---------------------------------------------------------------------------------------


def test_a_class_that_is_defined_in_a_function_travels_by_value() -> None:
    greeting = "hello from the closure"

    class Local(ProcessActor):
        def on_receive(self, message: Any) -> Any:
            return f"{greeting}, {message}"

    actor = Local.start()
    assert actor.ask("you") == "hello from the closure, you"
    actor.stop()


def test_an_actor_can_start_actors_of_its_own_which_end_with_it() -> None:
    actor = Worker.start()
    nested = get(actor.proxy().nested_actor())
    assert not is_gone(nested)
    actor.stop()
    assert is_gone(nested)


@pytest.mark.usefixtures("system")
def test_an_actors_own_names_do_not_meet_those_that_make_it_a_process() -> None:
    class Plumber(ProcessActor):
        def __init__(self) -> None:
            super().__init__()
            self._channel = self._process = self._failure = self._urn = "the actor's own"

        def _connect(self) -> str:
            return f"{self._channel}, {self._process}"

        _serve = _deliver = _shell = _connect

        def works(self) -> str:
            return self._connect()

    reference = Plumber.start()

    assert reference.proxy().works().get() == "the actor's own, the actor's own"
    assert reference.stop()
