"""Clients of the control socket that misbehave, or are somebody else: what they cost, which is nothing for others."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from control_hosts import PATIENCE, TASKS, Host
from processes_and_waits import wait_until
from run_folders import python
from subactors.runtime import RunError
from subactors.runtime.control.wire import Asked, frame
from subactors.runtime.tasks.messages import ListTasks, StopTasks, ViewTask


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.close()


def is_closed(raw: socket.socket) -> bool:
    """Whether the other end hangs up, after whatever it still says."""
    try:
        while raw.recv(1 << 20):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        struct.pack(">I", 5) + b"\xc1\xc1\xc1\xc1\xc1",
        struct.pack(">I", 2**32 - 1),
        struct.pack(">I", 256 * 1024 + 1) + b"x" * 1000,
        frame({"id": "one", "request": {}}),
        frame([1, 2, 3]),
        b"\0" * 1_000_000,
    ],
    ids=["HTTP", "no msgpack", "a forged length", "too long", "wrong types", "another message", "nothing but zeros"],
)
def test_who_sends_garbage_is_dropped_and_others_are_answered(host: Host, garbage: bytes) -> None:
    with host.connect() as client, host.connect_raw() as raw:
        with contextlib.suppress(ConnectionError):
            raw.sendall(garbage)
        assert is_closed(raw)
        assert client.ask(ListTasks(), PATIENCE) == TASKS


def test_who_hangs_up_in_the_middle_of_a_request_or_before_the_answer_harms_nobody(host: Host) -> None:
    with host.connect_raw() as raw:
        raw.sendall(struct.pack(">I", 100) + b"half")
    with host.connect() as client:
        client.send(StopTasks(["agent_task_1"]))
        _, reply_to = host.asked.get(timeout=PATIENCE)
    wait_until(lambda: host.connections() == 0, "both connections are forgotten")
    reply_to.set(TASKS)
    reply_to.set_exception(RunError("late"))
    assert host.is_well()


def test_of_one_that_hangs_up_only_what_is_not_answered_is_forgotten(host: Host) -> None:
    with host.connect() as client:
        client.ask(ListTasks(), PATIENCE)
        client.send(StopTasks(["agent_task_1"]))
        host.asked.get(timeout=PATIENCE)
        _, waiting = host.asked.get(timeout=PATIENCE)

    assert host.forgotten.get(timeout=PATIENCE) is waiting
    assert host.forgotten.empty()


def test_who_never_reads_keeps_nobody_from_being_answered_and_is_dropped(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.control.server._PATIENCE", 0.2)
    with host.connect_raw() as raw:
        raw.sendall(frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(ViewTask("large"))))))
        assert host.asked.get(timeout=PATIENCE)
        assert host.is_well()
        wait_until(lambda: host.connections() == 0, "it is dropped")
        assert host.server.unsent == 0


def test_who_says_nothing_or_half_a_thing_is_dropped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime.control.server._PATIENCE", 0.2)
    with host.connect_raw() as silent, host.connect_raw() as halting:
        halting.sendall(b"\0\0")
        assert is_closed(silent)
        assert is_closed(halting)


def test_who_waits_for_an_answer_is_not_dropped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime.control.server._PATIENCE", 0.05)
    with host.connect() as waiting:
        number = waiting.send(StopTasks(["agent_task_1"]))
        _, reply_to = host.asked.get(timeout=PATIENCE)
        with host.connect_raw() as silent:
            assert is_closed(silent)  # which takes longer than the one who waits may be silent
        reply_to.set(TASKS)
        assert waiting.receive(number, StopTasks, PATIENCE) == TASKS


def test_who_asks_too_much_at_once_is_dropped(host: Host) -> None:
    with host.connect_raw() as raw:
        with contextlib.suppress(ConnectionError):
            raw.sendall(frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(StopTasks(["a"]))))) * 1000)
        assert is_closed(raw)
    assert host.asked.qsize() <= 16
    assert host.is_well()


def test_what_waits_to_be_taken_is_bounded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime.control.server._UNSENT_LIMIT", 15_000_000)
    with host.connect_raw() as idle, host.connect() as client:
        idle.sendall(frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(ViewTask("large"))))))
        wait_until(lambda: host.connections() == 2 and host.server.unsent > 5_000_000, "it does not read")
        with pytest.raises(RunError, match=r"The answer has 10,\d+,\d+ bytes"):
            client.ask(ViewTask("large"), PATIENCE)
        assert client.ask(ListTasks(), PATIENCE) == TASKS


def hold(stack: contextlib.ExitStack, host: Host, *, asking: bytes) -> None:
    """Have another process hold as many connections as there may be, each of which has said that."""
    holding = """\
import os, socket, sys
os.chdir(os.path.dirname(sys.argv[1]))
held = [socket.socket(socket.AF_UNIX) for _ in range(32)]
for one in held:
    one.connect(os.path.basename(sys.argv[1]))
    one.sendall(bytes.fromhex(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""
    program = stack.enter_context(python(holding, host.path, asking.hex()))
    stack.callback(program.kill)
    assert program.stdout is not None
    assert program.stdout.readline() == "held\n"
    wait_until(lambda: host.connections() == 32, "all of them are there")


@pytest.mark.parametrize(
    "asking",
    [b"", b"\0\0", frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(StopTasks(["a"])))))],
    ids=["says nothing", "says half a thing", "waits for an answer"],
)
def test_who_holds_all_connections_keeps_no_other_process_out(host: Host, asking: bytes) -> None:
    with contextlib.ExitStack() as stack:
        hold(stack, host, asking=asking)
        with host.connect() as first, host.connect() as second:
            assert first.ask(ListTasks(), PATIENCE) == TASKS
            assert second.ask(ListTasks(), PATIENCE) == TASKS
            assert first.ask(ListTasks(), PATIENCE) == TASKS
            assert host.connections() == 32


def test_who_waits_for_an_answer_is_not_dropped_for_those_of_one_process_that_come(host: Host) -> None:
    with contextlib.ExitStack() as stack, host.connect() as waiting:
        number = waiting.send(StopTasks(["agent_task_1"]))
        _, reply_to = host.asked.get(timeout=PATIENCE)
        hold(stack, host, asking=b"")
        reply_to.set(TASKS)
        assert waiting.receive(number, StopTasks, PATIENCE) == TASKS


def test_who_sends_one_request_byte_by_byte_for_too_long_is_dropped(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.control.server._PATIENCE", 0.1)
    with host.connect_raw() as raw, contextlib.suppress(ConnectionError):
        raw.sendall(struct.pack(">I", 200_000))
        while host.connections():
            raw.sendall(b"x")
    assert host.is_well()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_not_heard_even_if_the_folder_lets_him_in(host: Host) -> None:
    host.path.parent.chmod(0o755)
    host.path.chmod(0o777)
    asking = """\
import os, socket, sys
path = sys.argv[1]
raw = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(path))
os.setuid(65534)
raw.connect(os.path.basename(path))
raw.settimeout(10)
try:
    print(raw.recv(100))
except ConnectionError:
    print(b"")
"""
    with python(asking, host.path) as program:
        assert program.communicate(timeout=PATIENCE)[0] == "b''\n"
    assert host.is_well()


def test_running_out_of_descriptors_costs_the_others_nothing(host: Host) -> None:
    gate = threading.Event()

    def wait() -> None:
        gate.wait(PATIENCE)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with host.connect() as client:
        assert client.ask(ListTasks(), PATIENCE) == TASKS
        host.io.call(wait)
        with host.connect_raw() as raw:
            raw.sendall(frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(ListTasks())))))
            free = os.dup(raw.fileno())
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                gate.set()
                for _ in range(100):
                    assert client.ask(ListTasks(), PATIENCE) == TASKS
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert raw.recv(1)
