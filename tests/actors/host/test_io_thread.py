"""The I/O thread: calls, timers and watches, whatever one of them does."""

from __future__ import annotations

import errno
import logging
import os
import queue
import select
import socket
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from processes_and_waits import descriptors, wait_until
from subactors.actors import StartError
from subactors.actors.host.io import READ, WRITE, IOThread, Timer

PATIENCE = 10.0


@pytest.fixture
def io() -> Iterator[IOThread]:
    thread = IOThread("io-under-test")
    yield thread
    thread.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        yield left, right


def test_a_thread_starts_with_the_first_use_only(io: IOThread) -> None:
    assert not any(thread.name == "io-under-test" for thread in threading.enumerate())
    io.call(lambda: None)
    assert any(thread.name == "io-under-test" for thread in threading.enumerate())


def test_a_thread_that_cannot_be_started_is_an_error_in_words_and_the_next_use_tries_again(
    io: IOThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    called = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        with pytest.raises(StartError, match="The thread io-under-test did not start: can't start new thread"):
            io.call(called.set)
    io.call(lambda: None)
    assert called.wait(PATIENCE)


def test_calls_are_made_in_order_on_one_thread(io: IOThread) -> None:
    made: queue.Queue[tuple[int, str]] = queue.Queue()
    for number in range(100):
        io.call(lambda number=number: made.put((number, threading.current_thread().name)))  # type: ignore[misc]
    assert [made.get(timeout=PATIENCE) for _ in range(100)] == [(number, "io-under-test") for number in range(100)]


def test_no_call_of_many_threads_is_lost(io: IOThread) -> None:
    made: queue.Queue[None] = queue.Queue()

    def call_often() -> None:
        for _ in range(2000):
            io.call(lambda: made.put(None))

    threads = [threading.Thread(target=call_often) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    for _ in range(8000):
        made.get(timeout=PATIENCE)


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)], ids=["an exception", "an exit"])
def test_a_call_that_fails_is_logged_and_the_others_go_on(
    io: IOThread, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    made = threading.Event()

    def fail() -> None:
        raise error

    io.call(fail)
    io.call(made.set)
    assert made.wait(PATIENCE)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_timers_fire_in_the_order_in_which_they_are_due(io: IOThread) -> None:
    fired: queue.Queue[str] = queue.Queue()
    timers = {
        "second": io.call_later(0.03, lambda: fired.put("second")),
        "first": io.call_later(0.01, lambda: fired.put("first")),
        "third": io.call_later(0.05, lambda: fired.put("third")),
    }
    due = sorted(timers, key=lambda name: timers[name].due)  # they are, unless this thread had to wait for a core
    assert [fired.get(timeout=PATIENCE) for _ in range(3)] == due


@pytest.mark.parametrize("delay", [1e9, float("inf")])
def test_a_timer_may_be_due_in_the_far_future_or_never(io: IOThread, delay: float) -> None:
    fired: queue.Queue[str] = queue.Queue()
    io.call_later(delay, lambda: fired.put("far"))
    io.call_later(0.01, lambda: fired.put("near"))
    assert fired.get(timeout=PATIENCE) == "near"
    io.call_later(0.01, lambda: fired.put("near again"))
    assert fired.get(timeout=PATIENCE) == "near again"


def test_cancelled_timers_are_forgotten_long_before_they_are_due_and_the_others_still_fire(io: IOThread) -> None:
    fired: queue.Queue[int] = queue.Queue()
    for number in range(10_000):
        timer = io.call_later(3600.0, lambda: None)
        if number % 1000 == 0:
            io.call_later(0.00001 * number, lambda number=number: fired.put(number))  # type: ignore[misc]
        timer.cancel()
    assert [fired.get(timeout=PATIENCE) for _ in range(10)] == list(range(0, 10_000, 1000))
    assert len(io._timers) < 1000


def test_a_cancelled_timer_does_not_fire(io: IOThread) -> None:
    fired: queue.Queue[str] = queue.Queue()
    made: queue.Queue[Timer] = queue.Queue()

    def make() -> None:  # in the thread in which timers fire, so that none does before it is cancelled
        cancelled = io.call_later(0.01, lambda: fired.put("cancelled"))
        io.call_later(0.02, lambda: fired.put("kept"))
        cancelled.cancel()
        made.put(cancelled)

    io.call(make)
    assert fired.get(timeout=PATIENCE) == "kept"
    made.get(timeout=PATIENCE).cancel()
    assert fired.empty()


def test_a_descriptor_that_is_ready_is_called_back_until_it_is_unwatched(
    io: IOThread, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    received: queue.Queue[bytes] = queue.Queue()
    io.call(lambda: io.watch(left.fileno(), READ, lambda _: received.put(left.recv(100))))
    right.send(b"one")
    assert received.get(timeout=PATIENCE) == b"one"
    right.send(b"two")
    assert received.get(timeout=PATIENCE) == b"two"
    unwatched = threading.Event()
    io.call(lambda: io.unwatch(left.fileno()))
    io.call(lambda: io.unwatch(left.fileno()))
    io.call(unwatched.set)
    assert unwatched.wait(PATIENCE)
    right.send(b"three")
    assert left.recv(100) == b"three"


def test_a_callback_that_fails_does_not_stop_another_descriptor(
    io: IOThread, pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    left, right = pair
    reader, writer = os.pipe()
    received: queue.Queue[bytes] = queue.Queue()

    def fail(_: int) -> NoReturn:
        os.read(reader, 1)
        raise ValueError("broken")

    try:
        io.call(lambda: io.watch(reader, READ, fail))
        io.call(lambda: io.watch(left.fileno(), READ, lambda _: received.put(left.recv(1))))
        os.write(writer, b"x")
        right.send(b"x")
        assert received.get(timeout=PATIENCE) == b"x"
    finally:
        io.close()
        os.close(reader)
        os.close(writer)
    assert "broken" in caplog.text


def test_a_watch_that_another_callback_of_the_same_round_ended_is_not_called(
    io: IOThread, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    called: queue.Queue[str] = queue.Queue()

    def only_one(name: str) -> None:
        called.put(name)
        io.unwatch(left.fileno())
        io.unwatch(right.fileno())

    def watch_both() -> None:
        io.watch(left.fileno(), READ, lambda _: only_one("left"))
        io.watch(right.fileno(), READ, lambda _: only_one("right"))

    left.send(b"x")
    right.send(b"x")
    io.call(watch_both)
    called.get(timeout=PATIENCE)
    passed = threading.Event()
    io.call(passed.set)
    assert passed.wait(PATIENCE)
    assert called.empty()


def test_what_has_been_called_last_is_let_go(io: IOThread, pair: tuple[socket.socket, socket.socket]) -> None:
    class Watcher:
        def __init__(self) -> None:
            self.called = threading.Event()

        def on_events(self, _events: int) -> None:
            io.unwatch(left.fileno())
            self.called.set()

    left, right = pair
    watcher = Watcher()
    called, seen = watcher.called, weakref.ref(watcher)
    io.call(lambda on_events=watcher.on_events: io.watch(left.fileno(), READ, on_events))  # type: ignore[misc]
    del watcher
    right.send(b"!")

    assert called.wait(PATIENCE)
    wait_until(lambda: seen() is None, "nothing in the thread holds it")


def test_closing_makes_the_calls_that_are_queued_and_ends_the_thread(io: IOThread) -> None:
    made: list[int] = []
    for number in range(50):
        io.call(lambda number=number: made.append(number))  # type: ignore[misc]
    io.close()
    assert made == list(range(50))
    assert not any(thread.name == "io-under-test" for thread in threading.enumerate())


def test_closing_twice_or_unused_is_allowed() -> None:
    before = descriptors()
    thread = IOThread("unused")
    thread.close()
    thread.close()
    assert descriptors() == before


def test_everything_is_without_effect_after_closing(
    io: IOThread, pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    io.call(lambda: None)
    io.close()
    io.call(lambda: None)
    io.call_later(0, lambda: None).cancel()
    io.watch(pair[0].fileno(), READ, lambda _: None)
    io.unwatch(pair[0].fileno())
    assert not caplog.records


class _Full:
    """An epoll that takes no more: what a process of the same user can bring about, which tests had better not."""

    def __init__(self, epoll: select.epoll) -> None:
        self._epoll = epoll

    def register(self, descriptor: int, _events: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), descriptor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)


def test_what_the_system_has_no_room_to_watch_is_watched_all_the_same(
    io: IOThread, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = pair
    seen: queue.Queue[tuple[str, int]] = queue.Queue()
    full = _Full(io._epoll)

    def fill() -> None:
        monkeypatch.setattr(io, "_epoll", full)
        io.watch(left.fileno(), READ, lambda events: seen.put((left.recv(10).decode(), events)))

    io.call(fill)
    for word in ("one", "two"):
        right.send(word.encode())
        assert seen.get(timeout=PATIENCE) == (word, READ)
    io.call(
        lambda: io.watch(
            left.fileno(), READ | WRITE, lambda events: (seen.put(("", events)), io.unwatch(left.fileno()))
        )
    )
    assert seen.get(timeout=PATIENCE) == ("", WRITE)
    right.send(b"three")
    io.call(lambda: seen.put(("called", 0)))
    assert seen.get(timeout=PATIENCE) == ("called", 0)
    assert io._poll is None


def test_timers_and_calls_come_while_there_is_no_room(
    io: IOThread, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io, "_epoll", _Full(io._epoll))
    made: queue.Queue[str] = queue.Queue()
    io.call(lambda: io.watch(pair[0].fileno(), READ, lambda _: None))
    io.call_later(0.01, lambda: made.put("timer"))
    assert made.get(timeout=PATIENCE) == "timer"
    io.call(lambda: made.put("call"))
    assert made.get(timeout=PATIENCE) == "call"
