"""Stops of children: in time, late, in C, before they run and after their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from actor_classes import Echo, Holder, Worker
from hooked_actors import Hooked
from process_listeners import PATIENCE, Supervision, pid_of, proxy, supervision
from processes_and_waits import wait_until
from speaking_actors import Answering, AskingConstructor, FailingStopHook, Question, Speaker
from subactors.actors import (
    ProcessSystem,
)


@pytest.fixture
def supervisor(system: ProcessSystem) -> Iterator[Supervision]:
    with supervision(system) as supervisor:
        yield supervisor


def test_a_child_that_stops_in_time_is_not_killed(supervisor: Supervision) -> None:
    child = supervisor.start_and_wait(Echo)
    supervisor.stop(child)
    end = supervisor.wait_for_end()
    assert end.normal
    assert not end.killed
    assert str(end) == "ended normally"


def test_a_child_that_ignores_its_stop_is_killed_after_the_grace_period(
    supervisor: Supervision, tmp_path: Path
) -> None:
    capture = tmp_path / "capture"
    child = supervisor.start_and_wait(Holder, grace=0.1, capture=str(capture))
    child.process.tell("be busy")
    supervisor.wait_for("output")
    supervisor.stop(child)
    end = supervisor.wait_for_end()
    assert (end.killed, end.signal_name, str(end)) == (True, "SIGKILL", "was killed")
    assert "in on_receive" in capture.read_text()


def test_a_child_that_holds_the_interpreter_in_c_is_killed_and_its_stack_is_known(
    supervisor: Supervision, tmp_path: Path
) -> None:
    capture = tmp_path / "capture"
    child = supervisor.start_and_wait(Holder, kwargs={"holding_the_interpreter": True}, grace=0.1, capture=str(capture))
    child.process.tell("be busy")
    supervisor.wait_for("output")
    supervisor.stop(child)
    assert supervisor.wait_for_end().killed
    assert "in on_receive" in capture.read_text()


def test_a_child_that_gets_no_core_for_a_while_still_writes_its_stack(supervisor: Supervision, tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    child = supervisor.start_and_wait(Holder, kwargs={"holding_the_interpreter": True}, grace=0.1, capture=str(capture))
    child.process.tell("be busy")
    supervisor.wait_for("output")
    status = Path(f"/proc/{pid_of(child)}/status")
    os.kill(pid_of(child), signal.SIGSTOP)
    supervisor.stop(child)

    def asked_for_its_stack() -> bool:
        pending = next(line for line in status.read_text().splitlines() if line.startswith("ShdPnd"))
        return bool(int(pending.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)

    wait_until(asked_for_its_stack, "the child has been asked for its stack")
    os.kill(pid_of(child), signal.SIGCONT)
    assert supervisor.wait_for_end().killed
    assert "in on_receive" in capture.read_text()


def test_a_child_in_a_catastrophic_match_is_killed(supervisor: Supervision) -> None:
    child = supervisor.start(Worker, grace=0.1)
    proxy(child).catastrophic_match.defer()
    supervisor.stop(child)
    assert supervisor.wait_for_end().killed


def test_a_child_without_a_capture_file_is_killed_with_sigkill_too(supervisor: Supervision) -> None:
    child = supervisor.start_and_wait(Holder, grace=0.05)
    child.process.tell("be busy")
    supervisor.wait_for("output")
    supervisor.stop(child)
    end = supervisor.wait_for_end()
    assert (end.killed, end.signal_name) == (True, "SIGKILL")


def test_a_child_can_be_stopped_before_it_runs(supervisor: Supervision, tmp_path: Path) -> None:
    child = supervisor.start(Hooked, str(tmp_path / "hooks"))
    supervisor.stop(child)
    assert supervisor.wait_for_end().normal
    hooks = [line.split()[0] for line in (tmp_path / "hooks").read_text().splitlines()]
    assert sorted(hooks) == ["__init__", "on_start", "on_stop", "on_stop_requested"]


def test_a_child_can_be_stopped_twice_and_after_its_end(supervisor: Supervision) -> None:
    child = supervisor.start_and_wait(Echo)
    supervisor.stop(child)
    supervisor.stop(child)
    assert supervisor.wait_for_end().normal
    supervisor.stop(child)
    supervisor.reference.ask("sees everything that came before", timeout=PATIENCE)
    assert supervisor.heard.empty()


def test_a_child_that_lingers_after_its_loop_has_ended_is_killed_after_the_grace_period(
    supervisor: Supervision,
) -> None:
    child = supervisor.start(Speaker, grace=0.1)
    proxy(child).linger().get(timeout=PATIENCE)
    proxy(child).stop.defer()
    end = supervisor.wait_for_end()
    assert end.finished
    assert end.killed


def test_a_stop_hook_that_fails_does_not_cost_the_child_its_mailbox(supervisor: Supervision) -> None:
    child = supervisor.start_and_wait(FailingStopHook)
    supervisor.stop(child)
    _, reply_to = supervisor.wait_for("request")
    reply_to.set(Answering("yes"))
    assert supervisor.wait_for_end().normal


def test_a_constructor_gets_its_answer_though_other_messages_came_before(supervisor: Supervision) -> None:
    child = supervisor.start(AskingConstructor)
    question, reply_to = supervisor.wait_for("request")
    assert question == Question("who am I?")
    child.process.tell("a message")
    supervisor.stop(child)
    reply_to.set(Answering("Ann"))
    reports = {supervisor.wait_for("report").text for _ in range(2)}
    assert reports == {"Ann got a message", "Ann hears of the stop"}
    assert supervisor.wait_for_end().normal
