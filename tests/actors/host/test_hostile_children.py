"""Children that break the protocol: each ends for it, with the reason, and nobody else is hurt."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

import msgspec
import pykka
import pytest
from actor_classes import Echo
from hostile_actor import Hostile
from process_listeners import Started, supervision
from subactors.actors import ProcessExit, ProcessSystem, ProtocolError
from subactors.actors.host import outbox as outbox_module
from subactors.actors.host import process as process_module
from subactors.actors.wire.frames import encode_frame, encode_plain, output_header
from subactors.actors.wire.messages import ErrorData, FromChild, Ready, Reply, ReplyError, Report, Request, Stopped

PATIENCE = 30.0


@pytest.fixture
def neighbour(system: ProcessSystem) -> Iterator[pykka.ActorRef[Echo]]:
    """Another actor of the same system, which must still be well afterwards."""
    del system
    actor = Echo.start()
    yield actor
    assert actor.ask("how are you?", timeout=PATIENCE) == "how are you?"
    actor.stop()


pytestmark = pytest.mark.usefixtures("neighbour")


def ended(system: ProcessSystem, method: str, *args: Any) -> ProcessExit:
    """Return how a hostile child ended, whose pending ask must have failed for the same reason."""
    started = Started(system, Hostile)
    pending = getattr(started.proxy, method)(*args)
    end = started.wait_for_end()
    with pytest.raises(pykka.ActorDeadError) as caught:
        pending.get(timeout=PATIENCE)
    assert str(end) in str(caught.value)
    return end


def garbage(size: int) -> bytes:
    return b"\xff" * size


def message(payload: bytes) -> bytes:
    """Return a payload as a frame."""
    return struct.pack(">IB", len(payload), 0) + payload


@pytest.mark.parametrize(
    ("data", "violation"),
    [
        (garbage(100), "a frame of unknown kind 255"),
        (struct.pack(">IB", 1 << 31, 0), "a frame that announces 2,147,483,648 bytes; 8,388,608 are allowed"),
        (struct.pack(">IB", 1 << 31, 1), "a frame that announces 2,147,483,648 bytes; 8,388,608 are allowed"),
        (message(b""), "a message that fits none of the declared types"),
        (message(b"garbage"), "a message that fits none of the declared types"),
        (message(msgspec.msgpack.encode({"type": "unheard_of"})), "a message that fits none of the declared types"),
        (message(b"\x91" * 200_000), "a message that fits none of the declared types"),
        (encode_frame(Reply(999, encode_plain("unasked"))), "a reply to an ask that is not open (999)"),
        (encode_frame(ReplyError(999, ErrorData("x", "y"))), "a reply to an ask that is not open (999)"),
        (encode_frame(Reply(-1, encode_plain("unasked"))), "a reply to an ask that is not open (-1)"),
        (encode_frame(Ready({})), "it said twice that it was ready"),
    ],
    ids=[
        "garbage",
        "forged length",
        "forged length of output",
        "empty",
        "no message",
        "unknown tag",
        "nesting",
        "unasked reply",
        "unasked error",
        "negative reply",
        "ready twice",
    ],
)
def test_what_no_healthy_child_sends_ends_it_with_the_reason(
    system: ProcessSystem, data: bytes, violation: str
) -> None:
    end = ended(system, "send_bytes", data)
    assert violation in end.violation
    assert end.killed
    assert not end.normal


@pytest.mark.parametrize(
    "answer",
    [b"\xdd\x00\x70\x00\x00" + b"\x90" * 0x70_0000, b"\xdd\x00\x20\x00\x00" + b"\x92\x80\x80" * 0x20_0000, b"\xa1\xff"],
    ids=["empty lists", "nested", "text that is none"],
)
def test_an_answer_that_cannot_be_read_ends_its_sender_when_it_is_wanted(
    system: ProcessSystem, neighbour: pykka.ActorRef[Echo], answer: bytes
) -> None:
    started = Started(system, Hostile)
    pending = started.proxy.send_bytes_and_wait(encode_frame(Reply(1, msgspec.Raw(answer))))
    with pytest.raises(ProtocolError, match="an answer that is not plain data"):
        pending.get(timeout=PATIENCE)
    assert neighbour.ask("still answering?", timeout=PATIENCE) == "still answering?"
    assert "an answer that is not plain data" in started.wait_for_end().violation


def test_too_many_attributes_are_a_violation(system: ProcessSystem) -> None:
    started = Started(system, Hostile)
    started.proxy.announce_names.defer([f"name_{index}" for index in range(10_001)])
    assert "none of the declared types" in started.wait_for_end().violation


def test_a_pickle_is_not_unpickled(system: ProcessSystem) -> None:
    end = ended(system, "send_bytes", message(b"cos\nsystem\n(S'exit 1'\ntR."))
    assert "a message that fits none of the declared types" in end.violation


@pytest.mark.parametrize("length", [1, 4, 5, 12])
def test_half_a_frame_before_an_exit_is_a_violation(system: ProcessSystem, length: int) -> None:
    end = ended(system, "send_bytes_and_exit", encode_frame(Reply(1, encode_plain("a long value")))[:length])
    assert end.violation == "its last frame is incomplete"
    assert end.code == 0


def test_half_a_frame_of_a_killed_child_is_not_held_against_it(system: ProcessSystem) -> None:
    started = Started(system, Hostile)
    started.proxy.send_bytes(output_header(100) + b"only this")
    started.proxy.stop_reading.defer()
    started.process.kill()
    end = started.wait_for_end()
    assert (end.violation, end.killed) == ("", True)


def test_an_announced_frame_that_never_ends_harms_nobody(system: ProcessSystem) -> None:
    started = Started(system, Hostile)
    started.proxy.send_bytes(struct.pack(">IB", 1 << 20, 0) + bytes(1000))
    Echo.start().stop()  # the host goes on
    started.process.kill()
    assert started.wait_for_end().killed


def test_a_child_that_closes_its_channel_and_lives_on_is_killed(
    system: ProcessSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "_CLOSED_CHANNEL_GRACE", 0.1)
    end = ended(system, "close_channel_and_live_on")
    assert end.disconnected
    assert end.killed


def test_a_child_that_does_not_read_is_ended_when_too_much_waits_for_it(
    system: ProcessSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_LIMIT", 1_000_000)
    monkeypatch.setattr(outbox_module, "_PATIENCE", 0.05)
    started = Started(system, Hostile)
    started.proxy.stop_reading.defer()
    while started.reference.is_alive():
        with contextlib.suppress(pykka.ActorDeadError):
            started.reference.tell(bytes(100_000))
    assert "it stopped reading" in started.wait_for_end().violation


def test_a_flood_of_empty_output_is_only_output(system: ProcessSystem) -> None:
    started = Started(system, Hostile)
    started.proxy.send_bytes(output_header(0) * 10_000 + output_header(4) + b"last").get(timeout=PATIENCE)
    while (said := started.listener.wait_for("output")) != b"last":
        assert said == b""
    started.reference.stop()


def test_a_child_that_never_stops_talking_keeps_nobody_else_waiting(
    system: ProcessSystem, neighbour: pykka.ActorRef[Echo]
) -> None:
    started = Started(system, Hostile)
    started.proxy.talk_for_ever.defer()
    started.listener.wait_for("output")
    assert neighbour.ask("still answering?", timeout=PATIENCE) == "still answering?"
    started.process.kill()
    assert started.wait_for_end().killed


def test_a_child_that_announces_new_attributes_without_end_does_not_fill_the_host(system: ProcessSystem) -> None:
    started = Started(system, Hostile)
    started.proxy.announce_attributes(100, 1000).get(timeout=PATIENCE)
    assert len(vars(started.process.actor)) < 2000
    started.reference.stop()


def test_attributes_with_the_names_of_the_hosts_own_change_nothing(system: ProcessSystem) -> None:
    started = Started(system, Hostile)
    names = [
        "actor_ref",
        "actor_urn",
        "actor_inbox",
        "actor_stopped",
        "start",
        "stop",
        "_process",
        "__class__",
        "x" * 9,
    ]
    started.proxy.announce_names(names).get(timeout=PATIENCE)
    assert started.reference.is_alive()
    assert started.reference.actor_urn in str(started.reference)
    assert started.reference.stop() is True
    assert started.wait_for_end().normal


def test_reports_and_requests_of_the_wrong_shape_end_the_child(system: ProcessSystem) -> None:
    bodies: list[FromChild] = [
        Report(encode_plain({"type": "saying", "text": 5})),
        Report(encode_plain(["saying"])),
        Request(1, encode_plain({"type": "question"})),
    ]
    with supervision(system) as supervisor:
        for body in bodies:
            child = supervisor.start_and_wait(Hostile)
            child.process.actor.actor_ref.proxy().send_bytes.defer(encode_frame(body))
            assert "none of the declared types" in supervisor.wait_for_end().violation


def test_a_child_that_says_it_is_done_and_lives_on_is_killed(system: ProcessSystem) -> None:
    with supervision(system) as supervisor:
        child = supervisor.start_and_wait(Hostile, grace=0.05)
        child.process.actor.actor_ref.proxy().send_bytes.defer(encode_frame(Stopped()))
        end = supervisor.wait_for_end()
        assert (end.finished, end.killed, end.normal) == (True, True, False)
