"""`ReplyFuture`: what pykka promises of its futures holds for that of an ask."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import pykka
import pytest
from actor_classes import OwnError
from processes_and_waits import wait_until
from subactors.actors.wire.reply import ReplyFuture

PATIENCE = 10.0
WAITERS = 5


@pytest.fixture
def future() -> ReplyFuture:
    return ReplyFuture()


def fail() -> None:
    raise OwnError("of the actor")


def raised() -> OwnError:
    """Return an exception that has a traceback."""
    with pytest.raises(OwnError) as caught:
        fail()
    return caught.value


def test_a_value_can_be_had_more_than_once(future: ReplyFuture) -> None:
    future.set(None)
    assert (future.get(), future.get(timeout=0)) == (None, None)


def test_an_exception_is_raised_each_time_with_its_traceback(future: ReplyFuture) -> None:
    error = raised()
    future.set_exception((type(error), error, error.__traceback__))
    for _ in range(2):
        with pytest.raises(OwnError, match="of the actor") as caught:
            future.get()
        assert caught.traceback[-1].name == "fail"


def test_the_exception_that_is_being_handled_is_what_none_means(future: ReplyFuture) -> None:
    try:
        fail()
    except OwnError:
        future.set_exception()
    with pytest.raises(OwnError, match="of the actor"):
        future.get()


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_what_does_not_come_in_time_is_a_timeout(future: ReplyFuture, timeout: float) -> None:
    with pytest.raises(pykka.Timeout, match=f"{timeout} seconds"):
        future.get(timeout=timeout)


def test_all_who_wait_get_the_value(future: ReplyFuture) -> None:
    with ThreadPoolExecutor(WAITERS) as pool:
        got = [pool.submit(future.get, timeout=PATIENCE) for _ in range(WAITERS)]
        wait_until(lambda: all(each.running() for each in got), "all wait")
        future.set("a value")
        assert [each.result(PATIENCE) for each in got] == ["a value"] * WAITERS


def test_a_future_takes_one_outcome(future: ReplyFuture) -> None:
    future.set(1)
    with pytest.raises(queue.Full):
        future.set(2)
    with pytest.raises(queue.Full):
        future.set_exception((OwnError, raised(), None))
    with pytest.raises(queue.Full):
        future.set_get_hook(lambda _timeout: 2)
    assert future.get() == 1


def test_a_hook_is_called_once_with_the_timeout(future: ReplyFuture) -> None:
    called_with = []

    def hook(timeout: float | None) -> str:
        called_with.append(timeout)
        return "made"

    future.set_get_hook(hook)
    assert (future.get(timeout=3), future.get(timeout=4)) == ("made", "made")
    assert called_with == [3]


def test_who_waits_gets_what_a_hook_that_is_set_meanwhile_makes(future: ReplyFuture) -> None:
    waits = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(lambda: (waits.set(), future.get(timeout=PATIENCE))[1])
        assert waits.wait(PATIENCE)
        future.set_get_hook(lambda _timeout: "made")
        assert got.result(PATIENCE) == "made"


def test_futures_can_be_joined_and_mapped(future: ReplyFuture) -> None:
    other = ReplyFuture()
    doubled = future.join(other).map(lambda values: [2 * value for value in values])
    future.set(1)
    other.set(2)
    assert doubled.get(timeout=PATIENCE) == [2, 4]
