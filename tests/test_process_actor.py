"""`ProcessActor` as pykka's users know actors: start, ask, tell, proxies, hooks, stop."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any, NoReturn

import pykka
import pytest
from actor_classes import (
    Echo,
    FailingConstructor,
    FailingOnStart,
    FailingOnStop,
    Greeter,
    Hooked,
    OwnError,
    SelfProxying,
    WithoutSuper,
    Worker,
)
from listening import Started
from observing import is_gone, wait_until
from subactors.actors import (
    PlainDataError,
    ProcessActor,
    ProcessSystem,
    RemoteError,
    StartError,
    SubactorsError,
)
from subactors.actors._wire import MAXIMUM_FRAME

PATIENCE = 30.0

pytestmark = pytest.mark.usefixtures("system")


def get(future: Any) -> Any:
    """Return what a proxy's call answers."""
    return future.get(timeout=PATIENCE)


def hooks(file: Path) -> list[str]:
    """Return the names of the hooks that a `Hooked` actor has noted."""
    return [line.split()[0] for line in file.read_text().splitlines()]


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


# --- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, False, 17, 1.5, "text", b"bytes", [1, [2]], {"key": {"inner": None}}])
def test_an_ask_is_answered(value: object) -> None:
    actor = Echo.start()
    assert actor.ask(value, timeout=PATIENCE) == value
    actor.stop()


def test_messages_of_any_picklable_type_arrive_and_answers_are_plain_data() -> None:
    actor = Echo.start()
    assert actor.ask((1, frozenset({2})), timeout=PATIENCE) == [1, [2]]
    actor.stop()


def test_an_ask_that_raises_a_built_in_exception_raises_it_here_and_the_actor_lives_on() -> None:
    actor = Worker.start().proxy()
    with pytest.raises(ValueError, match="a bad value") as caught:
        get(actor.fail("builtin"))
    assert 'raise ValueError("a bad value")' in "".join(caught.value.__notes__)
    assert get(actor.pid()) > 0
    actor.stop()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("own", "actor_classes.OwnError: a bad thing"),
        ("textless", "TextlessError: (the exception's text could not be made)"),
        ("surrogate", "half a pair: ?"),
        ("long", "characters left out"),
        ("with more arguments", "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0"),
    ],
)
def test_whatever_an_ask_raises_is_told_and_the_actor_lives_on(how: str, message: str) -> None:
    actor = Worker.start().proxy()
    with pytest.raises((RemoteError, ValueError)) as caught:
        get(actor.fail(how))
    assert message in str(caught.value)
    assert get(actor.pid()) > 0
    actor.stop()


@pytest.mark.parametrize("kind", ["object", "function", "number", "surrogate"])
def test_an_answer_that_is_not_plain_data_is_an_error_and_the_actor_lives_on(kind: str) -> None:
    actor = Worker.start().proxy()
    with pytest.raises(PlainDataError, match="cannot cross to another process as data"):
        get(actor.answer(kind))
    assert get(actor.answer("everything")) == [None, True, 1, 1.5, "text", b"bytes", {"key": [1]}]
    actor.stop()


def test_an_endless_answer_is_an_error_and_the_actor_lives_on() -> None:
    actor = Worker.start().proxy()
    with pytest.raises(PlainDataError):
        get(actor.cycle())
    assert get(actor.answer("dataclass")) == {"x": 1, "y": 2}
    actor.stop()


def test_a_message_that_cannot_be_pickled_raises_where_it_is_sent() -> None:
    actor = Echo.start()
    with pytest.raises(TypeError, match="cannot pickle"):
        actor.tell(threading.Lock())
    with pytest.raises(TypeError, match="cannot pickle"):
        actor.ask(threading.Lock())
    assert actor.ask("still there") == "still there"
    actor.stop()


class Unreadable:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("not a number",)


def test_a_message_that_cannot_be_unpickled_is_an_error_for_who_asked_and_the_actor_lives_on() -> None:
    actor = Echo.start()
    actor.tell(Unreadable())
    with pytest.raises(ValueError, match="invalid literal for int"):
        actor.ask(Unreadable(), timeout=PATIENCE)
    assert actor.ask("still there") == "still there"
    actor.stop()


def test_an_exception_in_a_told_message_ends_the_actor_after_its_failure_hook(tmp_path: Path) -> None:
    file = tmp_path / "hooks"
    actor = Hooked.start(str(file))
    actor.tell(OwnError("told"))
    wait_until(lambda: not actor.is_alive(), "the actor is dead")
    assert hooks(file) == ["__init__", "on_start", "on_receive", "on_failure"]


def test_an_ask_that_takes_too_long_times_out_and_the_actor_goes_on() -> None:
    actor = Worker.start().proxy()
    with pytest.raises(pykka.Timeout):
        actor.sleep(0.2).get(timeout=0.01)
    assert get(actor.pid()) > 0
    actor.stop()


def test_a_message_of_50_megabytes_arrives(system: ProcessSystem) -> None:
    started = Started(system, Worker)
    size = started.proxy.size_of(bytes(50_000_000))
    # What is sent while the big one is on its way neither overtakes it nor is held against the actor.
    following = started.proxy.pid()
    assert (get(size), get(following)) == (50_000_000, started.process.pid)
    started.reference.stop()
    assert started.wait_for_end().normal


def test_much_that_is_told_to_an_actor_that_reads_is_not_held_against_it(system: ProcessSystem) -> None:
    started = Started(system, Worker)
    for _ in range(60):
        started.proxy.size_of.defer(bytes(1_000_000))
    assert get(started.proxy.pid()) == started.process.pid
    started.reference.stop()
    assert started.wait_for_end().normal


def test_the_largest_answer_that_may_cross_arrives() -> None:
    actor = Worker.start().proxy()
    size = MAXIMUM_FRAME - 100
    assert len(get(actor.answer_bytes(size))) == size
    actor.stop()


def test_an_answer_over_the_limit_is_an_error_that_says_so_and_the_actor_lives_on() -> None:
    actor = Worker.start().proxy()
    with pytest.raises(PlainDataError, match=r"is longer than the 8,388,608 that may cross"):
        get(actor.answer_bytes(MAXIMUM_FRAME))
    assert get(actor.pid()) > 0
    actor.stop()


def test_a_thousand_asks_in_flight_are_all_answered() -> None:
    actor = Echo.start()
    futures = [actor.ask(number, block=False) for number in range(1000)]
    assert [future.get(timeout=PATIENCE) for future in futures] == list(range(1000))
    actor.stop()


def test_asks_of_many_threads_each_get_their_own_answer() -> None:
    actor = Echo.start()
    wrong: list[str] = []

    def ask_often(name: str) -> None:
        for number in range(100):
            text = f"{name}:{number}"
            if actor.ask(text, timeout=PATIENCE) != text:
                wrong.append(text)

    threads = [threading.Thread(target=ask_often, args=(str(index),)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    actor.stop()


# --- proxies --------------------------------------------------------------------------------------------------------


def test_a_proxy_calls_methods() -> None:
    greeter = Greeter.start("Ann", mark="?").proxy()
    assert get(greeter.greet("Bob")) == "Ann greets Bob?"
    assert get(greeter.greet(whom="Cid")) == "Ann greets Cid?"
    greeter.stop()


def test_a_proxy_reads_attributes_of_class_constructor_and_on_start() -> None:
    greeter = Greeter.start("Ann").proxy()
    get(greeter.greet())
    assert [get(value) for value in (greeter.kind, greeter.name, greeter.started)] == ["greeter", "Ann", True]
    greeter.stop()


def test_a_proxy_made_early_sees_an_attribute_that_comes_late() -> None:
    greeter = Greeter.start("Ann").proxy()
    with pytest.raises(AttributeError, match="no attribute 'late'"):
        _ = greeter.late
    get(greeter.add_attribute())
    assert get(greeter.late) == "late"
    greeter.stop()


def test_a_proxy_sets_attributes() -> None:
    greeter = Greeter.start("Ann").proxy()
    greeter.name = "Bea"
    greeter.brand_new = 5
    assert get(greeter.greet()) == "Bea greets you!"
    assert get(greeter.brand_new) == 5
    greeter.stop()


def test_a_proxy_goes_into_traversable_attributes() -> None:
    greeter = Greeter.start("Ann").proxy()
    assert get(greeter.inside.double(21)) == 42
    assert get(greeter.inside.depth) == 1
    greeter.inside.depth = 2
    assert get(greeter.inside.depth) == 2
    greeter.stop()


def test_a_proxy_goes_into_an_attribute_that_contains_itself() -> None:
    class Knot:
        pykka_traversable = True

        def __init__(self) -> None:
            self.again = self
            self.tight = True

    class Knotted(ProcessActor):
        def __init__(self) -> None:
            super().__init__()
            self.knot = Knot()

    actor = Knotted.start()
    assert get(actor.proxy().knot.tight) is True
    actor.stop()


def test_a_proxy_does_not_show_private_attributes() -> None:
    greeter = Greeter.start("Ann").proxy()
    assert not hasattr(greeter, "_private")
    assert {"greet", "name", "inside", "kind"} <= set(dir(greeter))
    greeter.stop()


def test_a_proxy_tells_without_waiting() -> None:
    greeter = Greeter.start("Ann").proxy()
    greeter.add_attribute.defer()
    get(greeter.greet())
    assert get(greeter.late) == "late"
    greeter.stop()


def test_an_actor_defers_work_to_itself_through_a_proxy_that_it_keeps() -> None:
    actor = SelfProxying.start().proxy()
    get(actor.count_down(3))
    wait_until(lambda: get(actor.steps) == [3, 2, 1, 0], "it has counted down")
    actor.stop()


def test_an_actors_proxy_to_itself_is_no_attribute_for_others() -> None:
    actor = SelfProxying.start().proxy()
    get(actor.count_down(0))
    assert "steps" in dir(actor)
    for name in ("made_early", "made_on_start"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(actor, name)
    actor.stop()


# --- stop -----------------------------------------------------------------------------------------------------------


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
