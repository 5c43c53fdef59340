"""What `multiprocessing` shares, given to an actor: it works there, and outlives the actor where it is the host's."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import pytest
from answers_and_hooks import get
from context_targets import Closed, Handed, Shares
from processes_and_waits import children_of, descriptors, wait_until
from subactors.actors import ProcessRef, ProcessSystem, StartError, ZygoteContext, get_context

PATIENCE = 30.0


@pytest.fixture
def actor(system: ProcessSystem) -> Iterator[ProcessRef[Shares]]:
    del system
    reference = Shares.start(None)
    yield reference
    if reference.is_alive():
        reference.stop()


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_it_is_given_a_queue(context: ZygoteContext, kind: str) -> None:
    queue = getattr(context, kind)()
    reference = Shares.start(queue)
    reference.proxy().put("from the actor").get()

    assert queue.get() == "from the actor"
    reference.stop()
    queue.close()


def test_it_is_given_a_lock(context: ZygoteContext) -> None:
    lock = context.Lock()
    reference = Shares.start(lock)
    with lock:
        assert get(reference.proxy().locked()) is False
    assert get(reference.proxy().locked()) is True
    reference.stop()


def test_it_is_given_an_event(context: ZygoteContext) -> None:
    event = context.Event()
    reference = Shares.start(event)
    waiting = reference.proxy().wait()
    event.set()
    assert get(waiting) is True
    reference.stop()


def test_it_is_given_a_value(context: ZygoteContext) -> None:
    value = context.Value("i", 0)
    first, second = Shares.start(value), Shares.start(value)
    for future in [first.proxy().add(100), second.proxy().add(100)]:
        get(future)
    assert value.value == 200
    first.stop()
    second.stop()


def test_it_is_given_one_end_of_a_pipe(context: ZygoteContext) -> None:
    ours, theirs = context.Pipe()
    reference = Shares.start(theirs)
    theirs.close()
    get(reference.proxy().send(["over", "a", "pipe"]))
    assert ours.recv() == ["over", "a", "pipe"]
    reference.stop()
    ours.close()


def test_it_is_given_proxies_of_a_manager(context: ZygoteContext) -> None:
    with context.Manager() as manager:
        shared = manager.list([manager.list("ab"), manager.list("c")])
        reference = Shares.start(shared)
        # Of what is inside it learns from the manager itself: for that it needs the host's key.
        assert get(reference.proxy().lengths()) == [2, 1]
        reference.proxy().append("end").get()
        assert shared[2] == "end"
        reference.stop()


def test_behind_a_fence_it_is_given_a_proxy_of_a_manager(
    context: ZygoteContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = ProcessSystem(fenced=True)
    monkeypatch.setattr(Shares, "system", system)
    try:
        with context.Manager() as manager:
            shared = manager.list()
            reference = Shares.start(shared)  # the proxy has the key of its manager with it
            reference.proxy().append("from behind a fence").get()
            assert list(shared) == ["from behind a fence"]
            reference.stop()
    finally:
        system.close()


def test_a_proxy_in_a_message_works(actor: ProcessRef[Shares], context: ZygoteContext) -> None:
    with context.Manager() as manager:
        shared = manager.list([1, 2])
        assert get(actor.proxy().length_of(shared)) == 2


@pytest.mark.parametrize("wrap", [lambda end: end, lambda end: {"ends": [end]}], ids=["itself", "in a list"])
@pytest.mark.parametrize("kind", ["pipe", "queue", "socket"])
def test_what_lives_by_a_descriptor_is_refused_in_a_message(
    actor: ProcessRef[Shares], context: ZygoteContext, kind: str, wrap: Callable[[Any], Any]
) -> None:
    with contextlib.ExitStack() as opened:
        if kind == "queue":
            end: Any = context.SimpleQueue()
            opened.callback(end.close)
        else:
            ends: Any = context.Pipe() if kind == "pipe" else socket.socketpair()
            end = ends[0]
            for one in ends:
                opened.enter_context(one)
        # The number of its descriptor would be another's in the actor, its channel's perhaps.
        with pytest.raises((TypeError, RuntimeError), match=r"end of a pipe|inheritance|socket"):
            actor.ask(wrap(end))
        with pytest.raises((TypeError, RuntimeError), match=r"end of a pipe|inheritance|socket"):
            actor.tell(lambda: end)
    assert get(actor.proxy().length_of("it is alive")) == 11


@pytest.mark.parametrize("opened", ["text", "bytes", "temporary"])
def test_an_open_file_is_refused_in_what_it_starts_with_and_in_messages(
    actor: ProcessRef[Shares], tmp_path: Path, opened: str
) -> None:
    path = tmp_path / "open"
    file: Any
    if opened == "temporary":
        file = tempfile.NamedTemporaryFile("w+", dir=tmp_path)  # noqa: SIM115 - closed below
    else:
        file = path.open("w+" if opened == "text" else "wb+")
    with file:
        with pytest.raises(TypeError, match="cannot pickle"):
            Shares.start(file)
        with pytest.raises(TypeError, match="cannot pickle"):
            actor.tell({"file": file})
        with pytest.raises(TypeError, match="cannot pickle"):
            actor.ask(lambda: file)


def test_only_one_that_is_given_something_shared_has_the_hosts_tracker(context: ZygoteContext) -> None:
    tracker = descriptors()[resource_tracker.getfd()]
    plain, sharing = Shares.start(None), Shares.start(context.Lock())

    assert tracker not in descriptors(plain.process.pid).values()
    assert tracker in descriptors(sharing.process.pid).values()
    plain.stop()
    sharing.stop()


@pytest.mark.parametrize("fenced", [False, True], ids=["no fence", "fence"])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_segment_of_the_host_outlives_an_actor_that_was_given_it(
    monkeypatch: pytest.MonkeyPatch, end: str, *, fenced: bool
) -> None:
    system = ProcessSystem(fenced=fenced)
    monkeypatch.setattr(Shares, "system", system)
    segment = SharedMemory(create=True, size=32)
    try:
        reference = Shares.start(segment)
        get(reference.proxy().write("seen"))
        assert children_of(reference.process.pid or 0) == []  # it has no tracker of its own
        _end(reference, end)
        system.close()  # and with it a tracker that it may have started
        SharedMemory(segment.name).close()
    finally:
        system.close()
        segment.close()
        segment.unlink()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_segment_of_the_host_outlives_an_actor_that_opened_it_by_name(actor: ProcessRef[Shares], end: str) -> None:
    segment = SharedMemory(create=True, size=32)
    try:
        get(actor.proxy().write_to(segment.name, "seen"))
        assert bytes(segment.buf[:4]) == b"seen"
        assert children_of(actor.process.pid or 0) == []
        _end(actor, end)
        SharedMemory(segment.name).close()
    finally:
        segment.close()
        segment.unlink()


def _end(reference: ProcessRef[Any], how: str) -> None:
    if how == "kill":
        reference.process.kill()
        reference.process.join()
    else:
        reference.stop()


def test_what_a_library_has_its_own_way_to_share_is_shared_so(actor: ProcessRef[Shares]) -> None:
    del actor
    with Handed.registered():
        reference = Shares.start(Handed("by default"))
        assert get(reference.proxy().how()) == "by a reducer"
        reference.stop()
    reference = Shares.start(Handed("by default"))
    assert get(reference.proxy().how()) == "by default"
    reference.stop()


def test_it_is_given_a_socket(context: ZygoteContext) -> None:
    del context
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reference = Shares.start(theirs)
        reference.proxy().send(b"over a socket").get()
        assert ours.recv(100) == b"over a socket"
        reference.stop()


def test_it_is_given_shared_memory(context: ZygoteContext) -> None:
    del context
    segment = SharedMemory(create=True, size=32)
    try:
        reference = Shares.start(segment)
        get(reference.proxy().write("written"))
        assert bytes(segment.buf[:7]) == b"written"
        reference.stop()
        assert bytes(segment.buf[:7]) == b"written"  # it is the host's, and stays
    finally:
        segment.close()
        segment.unlink()


def test_it_is_given_a_queue_where_a_process_stands_by(monkeypatch: pytest.MonkeyPatch) -> None:
    system = ProcessSystem(standby=1)
    monkeypatch.setattr(Shares, "system", system)
    context = get_context(system)
    try:
        queue = context.SimpleQueue()
        Shares.start(queue).stop()
        wait_until(lambda: system._standby._waiting, "a process stands by")
        reference = Shares.start(queue)
        get(reference.proxy().put("stood by"))
        assert queue.get() == "stood by"
        reference.stop()
        queue.close()
    finally:
        system.close()


@pytest.mark.parametrize("standby", [0, 1])
def test_what_cannot_be_sent_costs_its_start_alone(monkeypatch: pytest.MonkeyPatch, standby: int) -> None:
    system = ProcessSystem(standby=standby)
    monkeypatch.setattr(Shares, "system", system)
    try:
        if standby:
            system.prepare()
            wait_until(lambda: len(system._standby._waiting) == 1, "one stands by")
        with pytest.raises(StartError, match="what it starts with could not be sent: Bad file descriptor"):
            Shares.start(Closed())
        with pytest.raises(OSError, match="Bad file descriptor"):
            get_context(system).Process(target=print, args=(Closed(),)).start()
        wait_until(lambda: system._processes.all() == [], "the processes of the failed starts are forgotten")

        reference = Shares.start(None)
        reference.stop()
    finally:
        system.close()
