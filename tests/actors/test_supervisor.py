"""`Supervisor`: what it hears of its children, in which order, and how it ends them."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest
from actor_classes import Echo, OwnError
from hooked_actors import FailingConstructor
from process_listeners import PATIENCE, RecordingSupervisor, Supervision, pid_of, proxy, supervision
from processes_and_waits import is_gone, wait_until
from speaking_actors import Answering, Counting, Saying, Speaker
from subactors.actors import (
    ActorProcess,
    Child,
    ChildSpec,
    ProcessActor,
    ProcessExit,
    ProcessListener,
    ProcessSystem,
    ReplyAddress,
    StartChild,
    Supervisor,
)
from subactors.actors.host.backlog import _HIGH
from subactors.actors.host.channel import _FLOOD, _MUCH, _REST


@pytest.fixture
def supervisor(system: ProcessSystem) -> Iterator[Supervision]:
    with supervision(system) as supervisor:
        yield supervisor


class Noting(RecordingSupervisor):
    """Notes in the I/O thread whose process says something."""

    def __init__(self, system: ProcessSystem) -> None:
        super().__init__(system)
        self.processes: list[ActorProcess] = []

    def child_output(self, child: Child, data: bytes) -> None:
        self.processes.append(child.process)
        super().child_output(child, data)


class Hasty:
    """Where a process is heard before whoever has asked for it has got it."""

    def __init__(self, system: ProcessSystem) -> None:
        self._system = system

    def spawn(self, *args: Any, listener: ProcessListener, **kwargs: Any) -> ActorProcess:
        process = self._system.spawn(*args, listener=listener, **kwargs)
        listener.process_output(process, b"early")
        return process


def test_a_child_that_is_heard_before_it_is_known_here_has_its_process(system: ProcessSystem) -> None:
    with supervision(system, Noting) as supervisor:
        child = supervisor.start(Echo, placement=Hasty(system))
        noting = supervisor.reference._actor_weakref()
        assert isinstance(noting, Noting)
        assert noting.processes == [child.process]
        supervisor.stop(child)
        supervisor.wait_for_end()


# --- reports and requests -------------------------------------------------------------------------------------------


def test_a_child_is_started_at_once_and_ready_later(supervisor: Supervision) -> None:
    child = supervisor.start(Echo)
    supervisor.wait_for("ready")
    assert proxy(child).actor_ref.ask("hello") == "hello"
    supervisor.stop(child)
    assert supervisor.wait_for_end().normal


def test_output_and_reports_arrive_decoded(supervisor: Supervision) -> None:
    child = supervisor.start(Speaker)
    proxy(child).say("out\nloud 🎉").get(timeout=PATIENCE)
    proxy(child).report("a finding").get(timeout=PATIENCE)
    assert supervisor.wait_for("output") == "out\nloud 🎉".encode()
    assert supervisor.wait_for("report") == Saying("a finding")
    supervisor.stop(child)
    supervisor.wait_for_end()


def test_messages_are_handled_in_the_order_in_which_they_were_sent(supervisor: Supervision) -> None:
    child = supervisor.start(Speaker)
    texts = [str(number) for number in range(100)]
    for text in texts:
        proxy(child).report.defer(text)
    assert [supervisor.wait_for("report").text for _ in texts] == texts
    supervisor.stop(child)
    supervisor.wait_for_end()


def test_long_output_arrives_whole(supervisor: Supervision) -> None:
    child = supervisor.start(Speaker)
    text = "0123456789" * 50_000
    proxy(child).say(text).get(timeout=PATIENCE)
    received = b""
    while len(received) < len(text):
        received += supervisor.wait_for("output")
    assert received.decode() == text
    supervisor.stop(child)
    supervisor.wait_for_end()


def test_a_request_is_answered_at_once(supervisor: Supervision) -> None:
    child = supervisor.start(Speaker)
    assert proxy(child).ask("echo this").get(timeout=PATIENCE) == "this"
    supervisor.stop(child)
    supervisor.wait_for_end()


def test_requests_may_be_answered_late_and_in_any_order(supervisor: Supervision) -> None:
    child = supervisor.start(Speaker)
    answers = proxy(child).ask_twice("one", "two")
    addresses: dict[str, ReplyAddress] = {}
    for _ in range(2):
        question, reply_to = supervisor.wait_for("request")
        addresses[question.text] = reply_to
    addresses["two"].set(Answering("second"))
    addresses["one"].set(Answering("first"))
    assert answers.get(timeout=PATIENCE) == ["first", "second"]
    supervisor.stop(child)
    supervisor.wait_for_end()


def test_a_refused_request_raises_a_remote_error_in_the_child(supervisor: Supervision) -> None:
    child = supervisor.start(Speaker)
    caught = proxy(child).catch_refusal("may I?")
    _, reply_to = supervisor.wait_for("request")
    reply_to.set_exception(OwnError("you may not"))
    assert caught.get(timeout=PATIENCE) == "RemoteError: actor_classes.OwnError: you may not"
    supervisor.stop(child)
    supervisor.wait_for_end()


def test_an_answer_to_a_child_that_is_gone_goes_nowhere(supervisor: Supervision) -> None:
    child = supervisor.start(Speaker)
    pending = proxy(child).ask("never answered")
    _, reply_to = supervisor.wait_for("request")
    os.kill(pid_of(child), signal.SIGKILL)
    supervisor.wait_for_end()
    reply_to.set(Answering("too late"))
    reply_to.set_exception(OwnError("too late"))
    with pytest.raises(pykka.ActorDeadError):
        pending.get(timeout=PATIENCE)


@pytest.mark.parametrize("what", ["report", "request"])
def test_an_actor_without_a_supervisor_can_talk_all_the_same(system: ProcessSystem, what: str) -> None:
    del system
    actor = Speaker.start().proxy()
    if what == "report":
        actor.report("to nobody").get(timeout=PATIENCE)
    else:
        answer = actor.catch_refusal("anybody?").get(timeout=PATIENCE)
        assert answer.endswith("This actor has no supervisor.")
    actor.stop()


def test_a_report_of_a_type_that_the_supervisor_does_not_take_ends_the_child(supervisor: Supervision) -> None:
    child = supervisor.start(Speaker)
    proxy(child).report_wrongly.defer()
    end = supervisor.wait_for_end()
    assert "a report that fits none of the declared types" in end.violation
    assert end.killed


class Silent(RecordingSupervisor):
    """Takes neither reports nor requests."""

    report_decoder = None  # type: ignore[assignment]  # the class it is taken from has one
    request_decoder = None  # type: ignore[assignment]


@pytest.mark.parametrize("what", ["report", "ask"])
def test_a_supervisor_that_takes_none_ends_who_sends_one(system: ProcessSystem, what: str) -> None:
    with supervision(system, Silent) as supervisor:
        child = supervisor.start(Speaker)
        getattr(proxy(child), what).defer("hello?")
        assert "where its supervisor takes none" in supervisor.wait_for_end().violation


class Slow(RecordingSupervisor):
    """Handles a report only when the test lets it, and counts how many wait for it."""

    def __init__(self, system: ProcessSystem) -> None:
        super().__init__(system)
        self.gate = threading.Event()
        self.longest = 0
        self.numbers: list[int] = []
        self.done: queue.Queue[None] = queue.Queue()

    def child_reported(self, child: Child, report: Any) -> None:
        self.gate.wait(PATIENCE)
        if isinstance(report, Counting):
            self.longest = max(self.longest, len(child.turns._messages))
            self.numbers.append(report.number)
        else:
            self.done.put(None)


def test_a_child_that_reports_faster_than_its_supervisor_handles_is_slowed_down(system: ProcessSystem) -> None:
    with supervision(system, Slow) as supervisor:
        child = supervisor.start(Speaker)
        slow = supervisor.reference._actor_weakref()
        assert isinstance(slow, Slow)
        proxy(child).count_to.defer(100_000)
        proxy(child).report.defer("done")
        # It has begun, and cannot go on: everything on the way to the supervisor is full.
        wait_until(lambda: child.process._channel._backlog.is_full, "the backlog is full")
        slow.gate.set()
        slow.done.get(timeout=PATIENCE)
        assert slow.numbers == list(range(100_000))
        assert 1 < slow.longest <= _HIGH
        supervisor.stop(child)
        assert supervisor.wait_for_end().normal


def test_what_a_child_reported_before_its_end_arrives_before_its_end(system: ProcessSystem) -> None:
    with supervision(system, Slow) as supervisor:
        child = supervisor.start(Speaker)
        slow = supervisor.reference._actor_weakref()
        assert isinstance(slow, Slow)
        proxy(child).count_and_leave.defer(400)
        wait_until(lambda: child.process.end is not None, "the child has ended")
        slow.gate.set()
        assert supervisor.wait_for_end().normal
        assert slow.numbers == list(range(400))


class Meanwhile(RecordingSupervisor):
    """Notes whether there was time for something else in a flood, before too much of it had come."""

    def __init__(self, system: ProcessSystem) -> None:
        super().__init__(system)
        self.at_a_stretch = 0
        self.gaps: list[bool] = []

    def child_output(self, child: Child, data: bytes) -> None:
        super().child_output(child, data)
        if len(data) >= _FLOOD:
            self.gaps.append(self.at_a_stretch < _MUCH)
            self.at_a_stretch += len(data)
            # Timers fire in the order in which they are due: before a child that has a rest is read again.
            self._system.call_later(_REST / 2, self.come_back)

    def come_back(self) -> None:
        self.at_a_stretch = 0


def test_a_child_that_floods_leaves_the_io_thread_time_for_the_others(system: ProcessSystem) -> None:
    text = "0123456789" * 1_000_000
    with supervision(system, Meanwhile) as supervisor:
        child = supervisor.start(Speaker)
        meanwhile = supervisor.reference._actor_weakref()
        assert isinstance(meanwhile, Meanwhile)
        proxy(child).say(text).get(timeout=PATIENCE)
        received = b""
        while len(received) < len(text):
            received += supervisor.wait_for("output")
        supervisor.stop(child)
        assert supervisor.wait_for_end().normal
    assert received.decode() == text
    assert len(meanwhile.gaps) > 1
    assert all(meanwhile.gaps)


class Broken(RecordingSupervisor):
    """Fails where it should keep output."""

    def child_output(self, child: Child, data: bytes) -> None:
        super().child_output(child, data)
        if data == b"poison":
            raise OwnError("the host cannot take this")


def test_a_hook_that_fails_in_the_io_thread_ends_that_child_and_no_other(
    system: ProcessSystem, caplog: pytest.LogCaptureFixture
) -> None:
    with supervision(system, Broken) as supervisor:
        child, other = supervisor.start(Speaker), supervisor.start(Speaker)
        proxy(child).say.defer("poison")
        assert "the host could not handle what it sent" in supervisor.wait_for_end().violation
        assert "the host cannot take this" in caplog.text
        assert proxy(other).ask("echo still here").get(timeout=PATIENCE) == "still here"
        supervisor.stop(other)
        assert supervisor.wait_for_end().normal


# --- ends -----------------------------------------------------------------------------------------------------------


def test_a_child_whose_constructor_fails_is_never_ready_and_its_end_says_why(supervisor: Supervision) -> None:
    child = supervisor.start(FailingConstructor, "own")
    end = supervisor.wait_for_end()
    assert not end.ready
    assert end.error is not None
    assert str(end) == "raised actor_classes.OwnError: a bad thing"
    assert "raise OwnError" in end.error.traceback
    assert child.process.end == end


def test_a_child_that_cannot_be_pickled_is_the_askers_error_and_the_supervisor_lives_on(
    supervisor: Supervision,
) -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        supervisor.start(Echo, threading.Lock())
    supervisor.stop(supervisor.start(Echo))
    assert supervisor.wait_for_end().normal


def test_every_child_is_told_once_when_the_zygote_is_killed_and_the_next_start_works(
    own_system: ProcessSystem,
) -> None:
    with supervision(own_system) as supervisor:
        children = [supervisor.start_and_wait(Echo) for _ in range(3)]
        pids = [pid_of(child) for child in children]
        zygote = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(zygote, signal.SIGKILL)
        ends = [supervisor.wait_for_end() for _ in children]
        assert all("the zygote ended with status -9" in end.unobserved for end in ends)
        assert all("nobody could observe" in str(end) for end in ends)
        wait_until(lambda: all(map(is_gone, pids)), "the zygote's children are gone")
        again = supervisor.start_and_wait(Echo)
        supervisor.stop(again)
        assert supervisor.wait_for_end().normal
        assert supervisor.heard.empty()


def test_a_hook_that_fails_ends_its_child_and_not_the_supervisor(own_system: ProcessSystem) -> None:
    class Clumsy(Supervisor):
        def __init__(self, system: ProcessSystem) -> None:
            super().__init__(system)
            self.ends: list[str] = []

        def child_ready(self, child: Child) -> None:
            raise LookupError(f"the hook is broken for {child.spec.actor_class}")

        def child_ended(self, child: Child, end: ProcessExit) -> None:
            self.ends.append(f"{child.spec.actor_class.__name__} {end}")

    supervisor = Clumsy.start(own_system)
    try:
        child = supervisor.ask(StartChild(ChildSpec(ProcessActor)))
        proxy = supervisor.proxy()
        wait_until(lambda: proxy.ends.get() != [], "the child has ended")

        assert supervisor.is_alive()
        assert proxy.ends.get() == ["ProcessActor was killed"]
        assert child.process.end is not None
    finally:
        supervisor.stop()
