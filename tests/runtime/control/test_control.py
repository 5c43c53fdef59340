"""The control socket: what is asked and answered."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from control_hosts import PATIENCE, TASKS, VIEW, Host
from run_folders import python
from subactors.runtime import RunError, RuntimeClosedError, TaskEndedError, TaskList, UnknownTaskError
from subactors.runtime.control.client import ControlClient
from subactors.runtime.control.wire import Asked, Cutter, address, frame
from subactors.runtime.tasks.gateway import ReplyTo
from subactors.runtime.tasks.group_request import MapAgent
from subactors.runtime.tasks.messages import (
    ListTasks,
    ResumeTask,
    RunTask,
    StartRequest,
    StopTasks,
    TaskRequest,
    ViewTask,
    WaitTasks,
)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.close()


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
from subactors.runtime.control.client import ControlClient
from subactors.runtime.tasks.messages import ListTasks
with ControlClient(Path(sys.argv[1]), 10.0) as client:
    print(client.host_pid, client.ask(ListTasks(), 10.0).tasks[0].id)
"""
    with python(asking, host.path) as program:
        assert program.communicate(timeout=PATIENCE)[0] == f"{os.getpid()} agent_task_1\n"


def test_an_answer_may_come_later_and_from_another_thread(host: Host) -> None:
    with host.connect() as client:
        number = client.send(StopTasks(["agent_task_1"]))
        request, reply_to = host.asked.get(timeout=PATIENCE)
        assert request == StopTasks(["agent_task_1"])
        threading.Thread(target=reply_to.set, args=(TASKS,)).start()
        assert client.receive(number, StopTasks, PATIENCE) == TASKS


def test_answers_may_come_in_another_order_than_the_requests(host: Host) -> None:
    with host.connect() as client:
        first, second = client.send(StopTasks(["a"])), client.send(StopTasks(["b"]))
        (_, to_first), (_, to_second) = (host.asked.get(timeout=PATIENCE) for _ in range(2))
        to_second.set(TaskList(tasks=[], running=2, max_running=2))
        to_first.set(TaskList(tasks=[], running=1, max_running=1))
        assert client.receive(first, StopTasks, PATIENCE).running == 1
        assert client.receive(second, StopTasks, PATIENCE).running == 2


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


@pytest.mark.parametrize("request_to_start", [RunTask("worker", "work"), MapAgent("worker"), ResumeTask(VIEW.id)])
def test_no_task_can_be_started_from_outside(host: Host, request_to_start: StartRequest) -> None:
    with host.connect() as client, pytest.raises(RunError, match="cannot be started from another process"):
        client.ask(request_to_start, PATIENCE)
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


def test_a_request_may_come_byte_by_byte_and_two_at_once(host: Host) -> None:
    request = frame(Asked(1, msgspec.Raw(msgspec.msgpack.encode(ListTasks()))))
    with host.connect_raw() as raw:
        for byte in request:
            raw.sendall(bytes([byte]))
        raw.sendall(request + request)
        cutter, answers = Cutter(None), 0
        while answers < 3:
            answers += len(list(cutter.feed(raw.recv(65536))))


def test_an_answer_that_was_given_before_the_end_still_arrives(tmp_path: Path) -> None:
    host = Host(tmp_path)
    with host.connect() as client:
        number = client.send(StopTasks(["agent_task_1"]))
        _, reply_to = host.asked.get(timeout=PATIENCE)
        reply_to.set(TASKS)
        host.close()
        assert client.receive(number, StopTasks, PATIENCE) == TASKS


def test_a_host_that_does_not_answer_is_not_waited_for_longer_than_said(host: Host) -> None:
    with host.connect() as client:
        with pytest.raises(TimeoutError, match=r"timed out|does not answer"):
            client.ask(StopTasks(["agent_task_1"]), 0.05)
        with pytest.raises(TimeoutError):
            client.ask(StopTasks(["agent_task_1"]), 0.0)


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
