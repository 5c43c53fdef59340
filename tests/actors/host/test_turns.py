"""Turns: what children have for their supervisor is taken up in turn, and one that floods rests."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from process_listeners import RecordingSupervisor, supervision
from processes_and_waits import wait_until
from speaking_actors import Speaker
from subactors.actors import Child, ProcessSystem, ProtocolError
from subactors.actors import supervisor as supervisor_module
from subactors.actors.host.backlog import TurnQueue
from subactors.actors.host.beginning import SEND_BUFFER
from subactors.actors.host.channel import HostChannel
from subactors.actors.host.io import READ, IOThread
from subactors.actors.wire.frames import decode_from_child, encode_frame, output_header
from subactors.actors.wire.messages import Attribute, Attributes

PATIENCE = 30.0


class Gated(RecordingSupervisor):
    """Handles no report before the gate is open, and keeps whose it was."""

    def __init__(self, system: ProcessSystem) -> None:
        super().__init__(system)
        self.gate = threading.Event()
        self.is_at_gate = threading.Event()
        self.order: list[Child] = []

    def child_reported(self, child: Child, report: Any) -> None:
        self.is_at_gate.set()
        self.gate.wait(PATIENCE)
        self.order.append(child)
        super().child_reported(child, report)


def test_a_child_with_one_report_does_not_wait_for_one_with_hundreds(
    system: ProcessSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_TURN", 0.0)
    with supervision(system, Gated) as supervisor:
        gated = supervisor.reference._actor_weakref()
        assert isinstance(gated, Gated)
        loud, quiet = supervisor.start(Speaker), supervisor.start(Speaker)
        for child in (loud, quiet):
            child.process.ready.result(PATIENCE)
        loud.process.actor.actor_ref.proxy().count_to.defer(200)
        wait_until(lambda: len(loud.turns._messages) >= 100, "many reports wait")
        assert gated.is_at_gate.wait(PATIENCE)
        before = len(quiet.turns._messages)  # that it is ready may be among them
        quiet.process.actor.actor_ref.proxy().report.defer("once")
        wait_until(lambda: len(quiet.turns._messages) > before, "the other's waits, too")
        gated.gate.set()
        wait_until(lambda: len(gated.order) == 201, "all have been handled", limit=PATIENCE)
        assert gated.order.index(quiet) < 10
        for child in (loud, quiet):
            supervisor.stop(child)
        for _ in range(2):
            supervisor.wait_for_end()


def test_messages_of_a_child_keep_their_order_and_give_it_one_turn_at_a_time() -> None:
    turns = TurnQueue()
    assert [turns.put(number) for number in range(3)] == [True, False, False]
    assert [turns.take(), turns.go_on(), turns.take(), turns.take(), turns.take()] == [0, True, 1, 2, None]
    assert not turns.go_on()
    assert turns.put("again")


def test_light_work_costs_no_rest_until_there_is_too_much_of_it() -> None:
    turns = TurnQueue()
    rests = [turns.charge(0.0009) for _ in range(1000)]
    assert not any(rests[:50])
    assert sum(rests) > 1.0


def test_heavy_work_costs_a_rest_at_once() -> None:
    assert TurnQueue().charge(0.01) >= 0.01


def test_the_rests_of_all_who_flood_follow_each_other() -> None:
    io = IOThread("test-rests")
    try:
        came: list[str] = []
        done = threading.Event()

        def come(name: str, again: int) -> None:
            came.append(name)
            if again:
                io.rest(0.001, lambda: come(name, again - 1))
            elif len(came) == 6:
                done.set()

        io.call(lambda: [io.rest(0.001, lambda name=name: come(name, 1)) for name in "abc"])  # type: ignore[misc]
        assert done.wait(PATIENCE)
        assert came == ["a", "b", "c", "a", "b", "c"]
    finally:
        io.close()


class Hears:
    """Takes what comes of a channel, and counts the bytes."""

    def __init__(self) -> None:
        self.size = 0

    def on_output(self, data: bytes) -> None:
        self.size += len(data)

    def on_message(self, message: object) -> None:
        raise AssertionError(message)

    def on_channel_closed(self) -> None:
        raise AssertionError

    def on_violation(self, what: str) -> None:
        raise AssertionError(what)


@pytest.mark.parametrize(("part", "parts_to_a_rest"), [(600_000, 1), (100_000, 6)])
def test_a_flood_that_comes_in_parts_costs_a_rest_for_as_much_as_one_that_comes_whole(
    part: int, parts_to_a_rest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    io, hears = IOThread("test-rests"), Hears()  # the thread is never begun
    rests: list[int] = []
    monkeypatch.setattr(io, "rest", lambda _seconds, over: (rests.append(hears.size), over()))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        channel = HostChannel(ours, io, hears)
        for _ in range(2 * parts_to_a_rest):
            theirs.sendall(output_header(part) + bytes(part))
            channel.on_events(READ)
    io.close()

    assert rests == [parts_to_a_rest * part, 2 * parts_to_a_rest * part]


class Counts(Hears):
    """Counts messages, each of which is owed to a supervisor."""

    channel: HostChannel

    def on_message(self, message: object) -> None:
        del message
        self.size += 1
        self.channel.count(1)

    def on_channel_closed(self) -> None:
        """It has ended."""


@pytest.mark.parametrize("is_read_before", [False, True])
def test_what_an_ended_process_has_sent_is_handed_over_whenever_its_supervisor_comes_after(
    is_read_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.actors.host.channel._TURN", PATIENCE)  # no rest on a busy machine
    io, counts = IOThread("test-drain"), Counts()  # the thread is never begun
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        channel = counts.channel = HostChannel(ours, io, counts)
        handle = channel._handle

        def handle_and_come_after(data: bytes | memoryview) -> bool:
            more = handle(data)
            while channel._backlog._sizes:
                channel.handled()
            return more

        with theirs:
            theirs.sendall(encode_frame(Attributes({})) * 600)
        if is_read_before:
            channel.on_events(READ)
        monkeypatch.setattr(channel, "_handle", handle_and_come_after)
        while channel._backlog._sizes:
            channel.handled()
        told: list[int] = []
        channel.drain(lambda: told.append(counts.size))
    io.close()

    assert told == [600]


def test_a_rest_that_fails_keeps_the_others_from_nothing(caplog: pytest.LogCaptureFixture) -> None:
    io = IOThread("test-rests")
    try:
        done = threading.Event()

        def fail() -> None:
            raise ValueError("on purpose")

        io.call(lambda: (io.rest(0.001, fail), io.rest(0.001, done.set)))
        assert done.wait(PATIENCE)
    finally:
        io.close()
    assert "on purpose" in caplog.text


def test_attributes_that_would_take_long_to_decode_are_refused_for_their_length() -> None:
    inner = {f"name_{number}": Attribute(callable=True) for number in range(200)}
    wide = Attributes({f"name_{number}": Attribute(callable=False, inner=inner) for number in range(100)})
    with pytest.raises(ProtocolError, match="none of the declared types"):
        decode_from_child(encode_frame(wide)[5:])


def test_what_is_said_of_a_message_does_not_repeat_it() -> None:
    payload = encode_frame(Attributes({}))[5:].replace(b"\xaaattributes", b"\xdb\x00\x0f\x42\x40" + b"x" * 1_000_000, 1)
    with pytest.raises(ProtocolError) as caught:
        decode_from_child(payload)
    assert len(str(caught.value)) < 400
