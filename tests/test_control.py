"""The control socket: who is heard, what is answered, and what a client that misbehaves costs."""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from observing import descriptors, wait_until
from run_folders import python
from subactors.actors._io import IOThread
from subactors.runtime import (
    RunError,
    RuntimeClosedError,
    StateError,
    TaskEndedError,
    TaskList,
    TaskView,
    UnknownTaskError,
)
from subactors.runtime._control import ControlServer
from subactors.runtime._control_client import ControlClient
from subactors.runtime._control_wire import Asked, Cutter, address, frame
from subactors.runtime._messages import ListTasks, RunTask, StopTask, TaskRequest, ViewTask, WaitTasks
from subactors.runtime._supervisor_messages import ReplyTo

PATIENCE = 10.0

VIEW = TaskView(id="agent_task_1", agent="worker", task="work", status="running")
TASKS = TaskList(tasks=[VIEW], running=1, max_running=20)


class Host:
    """A control server, and what it was asked; it answers what can be answered at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "control.sock"
        self.io = IOThread("io-under-test")
        self.asked: queue.Queue[tuple[TaskRequest, ReplyTo]] = queue.Queue()
        self.answer: Callable[[TaskRequest, ReplyTo], None] = self._answer
        self.server = ControlServer(self.io, self.path, self._hand_over)

    def close(self) -> None:
        self.server.close()
        self.io.close()

    def connect(self) -> ControlClient:
        return ControlClient(self.path, PATIENCE)

    def connect_raw(self) -> socket.socket:
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(PATIENCE)
        with address(self.path) as name:
            raw.connect(name)
        return raw

    def connections(self) -> int:
        """How many there are, as the I/O thread sees it when all that was before has happened."""
        counted: queue.Queue[int] = queue.Queue()
        self.io.call(lambda: counted.put(len(self.server._connections)))
        return counted.get(timeout=PATIENCE)

    def is_well(self) -> bool:
        with self.connect() as client:
            return bool(client.ask(ListTasks(), PATIENCE) == TASKS)

    def _hand_over(self, request: TaskRequest, reply_to: ReplyTo) -> None:
        self.answer(request, reply_to)

    def _answer(self, request: TaskRequest, reply_to: ReplyTo) -> None:
        self.asked.put((request, reply_to))
        match request:
            case ListTasks():
                reply_to.set(TASKS)
            case ViewTask("agent_task_1"):
                reply_to.set(VIEW)
            case ViewTask("large"):
                reply_to.set(msgspec.structs.replace(VIEW, output="x" * 10_000_000))
            case ViewTask():
                reply_to.set_exception(UnknownTaskError("There is no such task."))
            case _:
                pass  # the test answers


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


def test_a_request_is_answered(host: Host) -> None:
    with host.connect() as client:
        assert client.ask(ListTasks(), PATIENCE) == TASKS
        assert client.ask(ViewTask("agent_task_1", limit=10), PATIENCE) == VIEW
    assert host.asked.get(timeout=PATIENCE)[0] == ListTasks()
    assert host.asked.get(timeout=PATIENCE)[0] == ViewTask("agent_task_1", limit=10)


def test_the_client_learns_who_the_host_is(host: Host) -> None:
    with host.connect() as client:
        assert client.host_pid == os.getpid()


def test_another_process_of_the_user_is_answered(host: Host) -> None:
    asking = """\
import sys
from pathlib import Path
from subactors.runtime._control_client import ControlClient
from subactors.runtime._messages import ListTasks
with ControlClient(Path(sys.argv[1]), 10.0) as client:
    print(client.host_pid, client.ask(ListTasks(), 10.0).tasks[0].id)
"""
    with python(asking, host.path) as program:
        assert program.communicate(timeout=PATIENCE)[0] == f"{os.getpid()} agent_task_1\n"


def test_an_answer_may_come_later_and_from_another_thread(host: Host) -> None:
    with host.connect() as client:
        number = client.send(StopTask("agent_task_1"))
        request, reply_to = host.asked.get(timeout=PATIENCE)
        assert request == StopTask("agent_task_1")
        threading.Thread(target=reply_to.set, args=(TASKS,)).start()
        assert client.receive(number, StopTask, PATIENCE) == TASKS


def test_answers_may_come_in_another_order_than_the_requests(host: Host) -> None:
    with host.connect() as client:
        first, second = client.send(StopTask("a")), client.send(StopTask("b"))
        (_, to_first), (_, to_second) = (host.asked.get(timeout=PATIENCE) for _ in range(2))
        to_second.set(TaskList(tasks=[], running=2, max_running=2))
        to_first.set(TaskList(tasks=[], running=1, max_running=1))
        assert client.receive(first, StopTask, PATIENCE).running == 1
        assert client.receive(second, StopTask, PATIENCE).running == 2


def test_a_large_answer_arrives_whole(host: Host) -> None:
    with host.connect() as client:
        assert client.ask(ViewTask("large"), PATIENCE).output == "x" * 10_000_000


def test_a_refusal_arrives_as_the_error_that_it_is(host: Host) -> None:
    with host.connect() as client, pytest.raises(UnknownTaskError, match=r"^There is no such task\.$"):
        client.ask(ViewTask("nothing"), PATIENCE)


@pytest.mark.parametrize("error", [RuntimeClosedError("It is closed."), TaskEndedError("It has ended.")])
def test_what_answering_raises_is_the_answer(host: Host, error: Exception) -> None:
    def refuse(_request: TaskRequest, _reply_to: ReplyTo) -> None:
        raise error

    host.answer = refuse
    with host.connect() as client, pytest.raises(type(error), match=str(error)):
        client.ask(ListTasks(), PATIENCE)


def test_an_error_that_is_none_of_ours_arrives_as_a_run_error_with_its_name(host: Host) -> None:
    host.answer = lambda _request, reply_to: reply_to.set_exception(KeyError("half \ud800"))
    with host.connect() as client, pytest.raises(RunError, match=r"^KeyError: 'half"):
        client.ask(ListTasks(), PATIENCE)


def test_an_answer_that_cannot_be_sent_is_an_error(host: Host) -> None:
    host.answer = lambda _request, reply_to: reply_to.set(msgspec.structs.replace(VIEW, result_json=object()))
    with host.connect() as client, pytest.raises(RunError, match="The answer cannot be sent"):
        client.ask(ListTasks(), PATIENCE)


def test_no_task_can_be_started_from_outside(host: Host) -> None:
    with host.connect() as client, pytest.raises(RunError, match="cannot be started from another process"):
        client.ask(RunTask("worker", "work"), PATIENCE)
    assert host.asked.empty()


def test_a_wait_without_end_is_cut_to_one_with_an_end(host: Host) -> None:
    with host.connect() as client:
        client.send(WaitTasks(["agent_task_1"], timeout=None))
        client.send(WaitTasks(["agent_task_1"], timeout=1.0))
        timeouts = [request.timeout for request, _ in (host.asked.get(timeout=PATIENCE) for _ in range(2))]  # type: ignore[union-attr]
    assert timeouts == [60.0, 1.0]


def test_a_request_of_a_newer_client_is_answered_with_what_is_wrong(host: Host) -> None:
    with host.connect_raw() as raw:
        raw.sendall(frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode({"type": "explode"})))))
        (message,) = Cutter(None).feed(raw.recv(65536))
        answer = msgspec.msgpack.decode(message)
    assert answer["type"] == "refusal"
    assert "does not understand the request: Invalid value 'explode'" in answer["message"]


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


def test_a_request_may_come_byte_by_byte_and_two_at_once(host: Host) -> None:
    request = frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(ListTasks()))))
    with host.connect_raw() as raw:
        for byte in request:
            raw.sendall(bytes([byte]))
        raw.sendall(request + request)
        cutter, answers = Cutter(None), 0
        while answers < 3:
            answers += len(list(cutter.feed(raw.recv(65536))))


def test_who_hangs_up_in_the_middle_of_a_request_or_before_the_answer_harms_nobody(host: Host) -> None:
    with host.connect_raw() as raw:
        raw.sendall(struct.pack(">I", 100) + b"half")
    with host.connect() as client:
        client.send(StopTask("agent_task_1"))
        _, reply_to = host.asked.get(timeout=PATIENCE)
    wait_until(lambda: host.connections() == 0, "both connections are forgotten")
    reply_to.set(TASKS)
    reply_to.set_exception(RunError("late"))
    assert host.is_well()


def test_who_never_reads_keeps_nobody_from_being_answered_and_is_dropped(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime._control._PATIENCE", 0.2)
    with host.connect_raw() as raw:
        raw.sendall(frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(ViewTask("large"))))))
        assert host.asked.get(timeout=PATIENCE)
        assert host.is_well()
        wait_until(lambda: host.connections() == 0, "it is dropped")
        assert host.server.unsent == 0


def test_who_says_nothing_or_half_a_thing_is_dropped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime._control._PATIENCE", 0.2)
    with host.connect_raw() as silent, host.connect_raw() as halting:
        halting.sendall(b"\0\0")
        assert is_closed(silent)
        assert is_closed(halting)


def test_who_waits_for_an_answer_is_not_dropped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime._control._PATIENCE", 0.05)
    with host.connect() as waiting:
        number = waiting.send(StopTask("agent_task_1"))
        _, reply_to = host.asked.get(timeout=PATIENCE)
        with host.connect_raw() as silent:
            assert is_closed(silent)  # which takes longer than the one who waits may be silent
        reply_to.set(TASKS)
        assert waiting.receive(number, StopTask, PATIENCE) == TASKS


def test_who_asks_too_much_at_once_is_dropped(host: Host) -> None:
    with host.connect_raw() as raw:
        with contextlib.suppress(ConnectionError):
            raw.sendall(frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(StopTask("a"))))) * 1000)
        assert is_closed(raw)
    assert host.asked.qsize() <= 16
    assert host.is_well()


def test_what_waits_to_be_taken_is_bounded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime._control._UNSENT_LIMIT", 15_000_000)
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
    [b"", b"\0\0", frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(StopTask("a")))))],
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


@pytest.mark.parametrize("kind", ["nothing", "fifo", "socket"])
def test_a_socket_that_was_removed_or_replaced_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("subactors.runtime._control._LOOK_AGAIN", 0.05)
    host = Host(tmp_path)
    try:
        host.path.unlink()
        if kind == "fifo":
            os.mkfifo(host.path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as other, address(host.path) as name:
                other.bind(name)

        def is_well() -> bool:
            with contextlib.suppress(OSError):
                return host.is_well()
            return False

        wait_until(is_well, "the host is reached again")
    finally:
        host.close()
    assert not host.path.exists()


def test_who_waits_for_an_answer_is_not_dropped_for_those_of_one_process_that_come(host: Host) -> None:
    with contextlib.ExitStack() as stack, host.connect() as waiting:
        number = waiting.send(StopTask("agent_task_1"))
        _, reply_to = host.asked.get(timeout=PATIENCE)
        hold(stack, host, asking=b"")
        reply_to.set(TASKS)
        assert waiting.receive(number, StopTask, PATIENCE) == TASKS


def test_who_sends_one_request_byte_by_byte_for_too_long_is_dropped(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime._control._PATIENCE", 0.1)
    with host.connect_raw() as raw, contextlib.suppress(ConnectionError):
        raw.sendall(struct.pack(">I", 200_000))
        while host.connections():
            raw.sendall(b"x")
    assert host.is_well()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_not_heard_even_if_the_folder_lets_him_in(host: Host) -> None:
    for folder in (host.path.parent, *host.path.parent.parents):
        if folder.owner() == "root" and folder != Path("/") and str(folder).startswith("/tmp/"):  # noqa: S108
            folder.chmod(0o755)
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


def test_a_path_may_be_longer_than_a_socket_address(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    host = Host(folder)
    try:
        assert host.is_well()
    finally:
        host.close()


def test_a_socket_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    io = IOThread("unused")
    before = set(descriptors())
    for path in (tmp_path / "nowhere" / "control.sock", tmp_path):
        with pytest.raises(StateError, match=r"The control socket .* cannot be made: "):
            ControlServer(io, path, lambda _request, _reply_to: None)
    assert set(descriptors()) == before
    io.close()


def test_nobody_is_there_after_the_end(tmp_path: Path) -> None:
    host = Host(tmp_path)
    with host.connect() as client:
        assert client.ask(ListTasks(), PATIENCE) == TASKS
        number = client.send(StopTask("agent_task_1"))
        assert host.asked.get(timeout=PATIENCE)
        assert host.asked.get(timeout=PATIENCE)
        host.server.close()
        host.server.close()
        with pytest.raises(ConnectionError):
            client.receive(number, StopTask, PATIENCE)
    assert not host.path.exists()
    with pytest.raises(OSError, match="No such file"):
        host.connect()
    host.close()


def test_an_answer_that_was_given_before_the_end_still_arrives(tmp_path: Path) -> None:
    host = Host(tmp_path)
    with host.connect() as client:
        number = client.send(StopTask("agent_task_1"))
        _, reply_to = host.asked.get(timeout=PATIENCE)
        reply_to.set(TASKS)
        host.close()
        assert client.receive(number, StopTask, PATIENCE) == TASKS


def test_a_host_that_does_not_answer_is_not_waited_for_longer_than_said(host: Host) -> None:
    with host.connect() as client:
        with pytest.raises(TimeoutError, match=r"timed out|does not answer"):
            client.ask(StopTask("agent_task_1"), 0.05)
        with pytest.raises(TimeoutError):
            client.ask(StopTask("agent_task_1"), 0.0)


def test_an_answer_that_is_none_is_a_connection_error(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        with address(path) as name:
            listener.bind(name)
        listener.listen()
        for answer in (frame([1]), frame({"type": "answer", "id": 1, "body": {"tasks": "many"}})):
            with ControlClient(path, PATIENCE) as client:
                peer, _ = listener.accept()
                with peer:
                    peer.sendall(answer)
                    with pytest.raises(ConnectionError, match="cannot be understood"):
                        client.ask(ListTasks(), PATIENCE)


def test_only_the_user_can_reach_the_socket(tmp_path: Path) -> None:
    from subactors.runtime._state import RunFolder  # noqa: PLC0415 - for this test only

    folder = RunFolder.create(tmp_path)
    host = Host(folder.path)
    try:
        assert host.path == folder.control
        assert stat.S_IMODE(host.path.parent.stat().st_mode) == 0o700
    finally:
        host.close()
        folder.release()


def test_a_process_that_the_host_has_forked_does_not_keep_the_socket(tmp_path: Path) -> None:
    forking = """\
import multiprocessing, os, sys
from pathlib import Path
from subactors.actors._io import IOThread
from subactors.runtime._control import ControlServer

def live_on(path):
    print(path, flush=True)
    open(0).read()

path = Path(sys.argv[1]) / "control.sock"
server = ControlServer(IOThread("io"), path, lambda request, reply_to: None)
process = multiprocessing.get_context("fork").Process(target=live_on, args=(path,))
process.start()
process.join()
"""
    with python(forking, tmp_path) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        program.stdout.readline()
        with ControlClient(tmp_path / "control.sock", PATIENCE) as client:
            number = client.send(ListTasks())
            program.kill()
            program.wait()
            with pytest.raises(ConnectionError):
                client.receive(number, ListTasks, PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            ControlClient(tmp_path / "control.sock", PATIENCE)
        program.stdin.close()
        assert program.stdout.read() == ""


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
