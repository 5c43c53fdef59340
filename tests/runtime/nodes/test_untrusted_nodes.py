"""What a host takes of a node that says anything: it costs a task, or the node, and is told in words."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from node_lines import FakeNode, place_of
from processes_and_waits import wait_until
from subactors.actors import ErrorData
from subactors.actors.host import outbox, remote
from subactors.actors.host.channel import HostChannel
from subactors.actors.host.io import IOThread
from subactors.actors.wire.frames import encode_frame, encode_plain
from subactors.actors.wire.messages import Forked, ForkFailed, GroupUse, Ready, Report, Stopped
from subactors.actors.wire.node import Challenge, Ended, Entered, Notice, Parting, Signal, encode_node
from subactors.runtime import Runtime, Task, TaskView
from subactors.runtime.nodes.messages import Left, LimitReached, LogGrown, NotPreloaded, Seen
from subactors.runtime.runs.output import LONGEST_LOG
from subactors.runtime.tasks.messages import Finished
from subactors.runtime.tasks.views import Vitals
from teams import PATIENCE

TEAM: dict[str, Any] = {"agents": {"worker": {"entrypoint": "node_entrypoints:tells_where"}}}

PID = os.getpid()  # which is a process of this machine, too


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with tempfile.TemporaryDirectory() as folder, FakeNode(f"{folder}/socket") as node:
        yield node


@contextmanager
def opened(node: FakeNode, **settings: Any) -> Iterator[Runtime]:
    with (
        place_of(node.found) as lab,
        Runtime.from_mapping(TEAM, standby=0, places=(lab,), place=lab.name, stop_grace=0.1, **settings) as runtime,
    ):
        yield runtime


@contextmanager
def running(node: FakeNode, **settings: Any) -> Iterator[tuple[Runtime, Task]]:
    """A runtime with a task that the node says it runs."""
    with opened(node, **settings) as runtime:
        node.serve()
        task = runtime.run("worker", "go")
        wait_until(lambda: node.processes, "its process is asked for")
        node.say(Forked(node.processes[0][0].key, PID))
        node.processes[0][1].sendall(encode_frame(Ready({})))
        wait_until(lambda: task.view().pid == PID, "it is known there", limit=PATIENCE)
        yield runtime, task
        with suppress(OSError):
            node.say(Parting("the test is over"))


def ended(task: Task) -> TaskView:
    wait_until(lambda: task.view().ended, "it has ended", limit=PATIENCE)
    return task.view()


def reason_with(node: FakeNode, *said: Any) -> str:
    with running(node) as (_, task):
        node.say(*said)
        return ended(task).reason


# --- what it says of itself -----------------------------------------------------------------------------------------


def test_a_host_says_nothing_but_a_number_before_the_node_has_proven_what_it_is(node: FakeNode) -> None:
    with opened(node) as runtime:
        task = runtime.run("worker", "go")
        hello = node.line.next()
        node.say(Challenge(b"n" * 32, b"p" * 32))

        assert msgspec.structs.asdict(hello).keys() == {"nonce"}
        assert node.line.next() is None
        runtime.stop(task)


@pytest.mark.parametrize(
    "facts",
    [
        {"peak_bytes": 2**60},
        {"user_seconds": math.nan},
        {"system_seconds": -1.0},
        {"survivor_ids": tuple(range(1000))},
        {"code": 10**6},
        {"group": GroupUse(memory_peak=2**60)},
    ],
)
def test_figures_of_an_end_that_cannot_be_cost_the_node(node: FakeNode, facts: dict[str, Any]) -> None:
    reason = reason_with(node, msgspec.structs.replace(Ended(1), **facts))

    assert reason.startswith("Node fake was lost (it sent a message that fits none of the declared types: ")


@pytest.mark.parametrize(
    "notice",
    [
        Seen({1: Vitals(memory_bytes=2**60)}, 0),
        Seen({1: Vitals(cpu_seconds=math.inf)}, 0),
        Seen({}, -1),
        LogGrown(1, 0, b"x" * 100_000),
    ],
)
def test_figures_of_tasks_that_cannot_be_cost_the_node(node: FakeNode, notice: msgspec.Struct) -> None:
    with running(node) as (_, task):
        key = node.processes[0][0].key
        if isinstance(notice, Seen) and notice.vitals:
            notice = Seen({key: notice.vitals[1]}, notice.available)
        node.notice(notice)

        assert ended(task).reason.startswith("Node fake was lost (it sent ")


def test_what_a_host_cannot_handle_costs_the_node_and_is_said_in_words(
    node: FakeNode, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.nodes.news.News.hear", lambda *_: 1 / 0)
    reason = reason_with(node, Notice(encode_plain(LimitReached(1, ""))))

    assert reason == "Node fake was lost (what it sent cannot be handled: ZeroDivisionError: division by zero)."
    assert "What the other end of a line to a node has sent cannot be handled." in caplog.text


def test_a_long_reason_is_cut(node: FakeNode) -> None:
    with opened(node) as runtime:
        node.serve()
        task = runtime.run("worker", "go")
        wait_until(lambda: node.processes, "its process is asked for")
        node.say(ForkFailed(node.processes[0][0].key, "no \n" * 300_000))

        reason = ended(task).reason

    assert "no no no" in reason
    assert len(reason) < 5000


def test_a_node_that_cannot_import_ahead_says_so_a_few_times(node: FakeNode, caplog: pytest.LogCaptureFixture) -> None:
    with running(node) as (runtime, _), caplog.at_level(logging.WARNING):
        for _ in range(150):
            node.notice(NotPreloaded("m" * 100_000, ErrorData("E", "e" * 100_000)))
        node.notice(Seen({}, 7))
        wait_until(lambda: runtime.nodes()[0].memory_available == 7, "all is heard", limit=PATIENCE)

    assert 0 < len(caplog.records) <= 100
    assert max(len(record.getMessage()) for record in caplog.records) < 3000


@contextmanager
def asked_over_a_network() -> Iterator[tuple[FakeNode, Task, socket.socket]]:
    """A node that is asked for a process over a network, the process's task, and its connection."""
    with FakeNode("") as node, opened(node) as runtime:
        node.serve()
        task = runtime.run("worker", "go")
        wait_until(lambda: node.processes, "its process is asked for")
        (_, channel) = node.processes[0]
        channel.settimeout(PATIENCE)
        yield node, task, channel


def test_whoever_has_the_address_of_a_node_over_a_network_is_not_told_what_a_task_is_told() -> None:
    with asked_over_a_network() as (node, task, channel):
        channel.sendall(b"x" * len(encode_node(Entered(bytes(32)))))

        assert channel.recv(1) == b""
        assert "cannot be connected to: no proof that it is the agent that was started" in ended(task).reason
        node.say(Parting("the test is over"))


def test_a_task_whose_connection_ends_with_its_node_has_failed_because_that_is_lost() -> None:
    with asked_over_a_network() as (node, task, channel):
        channel.shutdown(socket.SHUT_WR)
        assert channel.recv(1) == b""  # its host has seen that
        node.line.channel.shutdown(socket.SHUT_RDWR)

        assert ended(task).reason == "Node fake was lost (it closed its connection)."


# --- what it says of files ------------------------------------------------------------------------------------------


def log_of(runtime: Runtime, task: Task) -> Path:
    return runtime._host.folder.log / f"{task.id}.log"


def test_a_piece_of_a_log_that_follows_nothing_is_left_out(node: FakeNode) -> None:
    with running(node) as (runtime, task):
        key = node.processes[0][0].key
        for start, data in [(0, b"one "), (4, b"two"), (1000, b"far"), (LONGEST_LOG, b"high")]:
            node.notice(LogGrown(key, start, data))
        node.notice(Seen({}, 7))
        wait_until(lambda: runtime.nodes()[0].memory_available == 7, "all is heard", limit=PATIENCE)

        assert log_of(runtime, task).read_bytes() == b"one two"


def say_finished(node: FakeNode) -> None:
    """Have the process say that its answer is in a file."""
    finished = Report(encode_plain(Finished("", early=False, in_file=True)))
    node.processes[-1][1].sendall(encode_frame(finished) + encode_frame(Stopped()))


def test_a_result_of_any_size_takes_no_more_room_than_it_may_have(node: FakeNode) -> None:
    with running(node, max_result=1000) as (runtime, task):
        node.files[f"results/{task.id}"] = b"1" * 1_000_000
        say_finished(node)
        node.end(Left(result_size=2**50))

        reason = ended(task).reason
        files = list(runtime._host.folder.results.iterdir())

    assert "more than max_result" in reason
    assert not [file for file in files if file.stat().st_blocks * 512 > 4096]


def test_a_result_that_does_not_come_whole_is_none(node: FakeNode, caplog: pytest.LogCaptureFixture) -> None:
    with running(node) as (_, task):
        node.files[f"results/{task.id}"] = b"[1,"
        say_finished(node)
        node.end(Left(result_size=6))

        view = ended(task)

    assert view.status == "failed"
    assert "its result cannot be read" in view.reason
    assert "cannot be had: 3 bytes of it are missing." in caplog.text


def test_what_a_process_has_left_is_fetched_once_however_often_it_ends(node: FakeNode) -> None:
    with running(node) as (_, task):
        opening, _ = node.processes[0]
        left = encode_plain(Left(log_size=10))
        node.files[f"log/{task.id}"] = b"0123456789"
        node.say(*[Ended(opening.key, code=0, left=left)] * 50)
        node.processes[0][1].shutdown(socket.SHUT_WR)
        ended(task)

    assert node.fetched == 1


# --- what it does not say -------------------------------------------------------------------------------------------


def test_a_kill_that_a_node_does_not_confirm_is_an_end_all_the_same(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_KILL_LIMIT", 0.2)
    with running(node) as (runtime, task):
        (view,) = runtime.stop(task)

        assert view.status == "stopped"
        wait_until(lambda: node.line.next() == Signal(node.processes[0][0].key, signal.SIGKILL), "it was told to")


def test_a_process_that_has_ended_there_does_not_speak_for_ever(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_FOLLOWS", 0.5)
    monkeypatch.setattr(remote, "_LAST_WORDS", 0.6)
    with running(node) as (_, task):
        opening, channel = node.processes[0]
        node.say(Ended(opening.key, code=0, left=encode_plain(Left())))

        def talks_and_is_over() -> bool:
            with suppress(OSError):
                channel.sendall(b"\x00\x00\x00\x04\x01talk")
            return task.view().ended

        wait_until(talks_and_is_over, "it has ended", limit=PATIENCE)
        assert task.view().status == "failed"


def test_a_process_on_a_node_is_no_child_of_the_host(node: FakeNode) -> None:
    before = multiprocessing.active_children()
    with running(node):
        assert multiprocessing.active_children() == before


def test_what_waits_for_a_node_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_LIMIT", 10)
    monkeypatch.setattr(outbox, "_PATIENCE", -1.0)
    violations: list[str] = []

    class Receiver:
        def on_violation(self, what: str) -> None:
            violations.append(what)

    io = IOThread("test")
    channel = HostChannel(None, io, Receiver())  # type: ignore[arg-type]
    channel.send(b"12345678")
    channel.send(b"12345678")
    io.close()

    assert violations == ["nothing reads for it yet; 16 bytes waited for it"]
