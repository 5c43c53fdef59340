"""Messages to actors in processes of their own: what is asked, told and answered, and what cannot be."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pykka
import pytest
from actor_classes import Echo, OwnError, Worker
from answers_and_hooks import PATIENCE, get, hooks
from hooked_actors import Hooked, Listening
from process_listeners import Started
from processes_and_waits import wait_until
from subactors.actors import PlainDataError, ProcessSystem, RemoteError
from subactors.actors.wire.frames import MAXIMUM_FRAME

pytestmark = pytest.mark.usefixtures("system")


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


def test_what_the_arrival_hook_takes_is_heard_while_a_message_is_at_work_and_is_none_for_the_mailbox() -> None:
    actor = Listening.start()
    answer = actor.ask("wait for two", block=False)
    actor.tell("!one")
    actor.tell("plain")
    actor.tell("!two")
    assert answer.get(timeout=PATIENCE) == ["!one", "!two", "wait for two"]
    assert actor.ask("!asked") == ["!one", "!two", "!asked"]  # who waits for an answer gets it from the mailbox
    actor.stop()


def test_a_message_for_which_the_arrival_hook_raises_waits_its_turn() -> None:
    actor = Listening.start()
    actor.tell("!no")
    assert actor.ask("then") == ["in its turn", "then"]
    actor.stop()
