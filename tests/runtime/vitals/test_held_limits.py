"""Limits on trees are held whatever befalls the thread that holds them; where they cannot be, that is said."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Limits, Runtime
from subactors.runtime.supervisor import limits as limits_module
from subactors.runtime.vitals import looker as looker_module
from subactors.runtime.vitals import trees as trees_module
from subactors.runtime.vitals.sampler import VitalsSampler, Watch
from teams import PATIENCE, run_and_wait, speaking

LIMITS = Limits(processes=1)
TEAM: dict[str, Any] = {
    "agents": {
        "forks": {"entrypoint": "greedy_entrypoints:forks", "limits": {"processes": 2}},
        "waits": {"entrypoint": "entrypoints:waits_for_file", "limits": {"processes": 2}},
    }
}


@pytest.fixture
def greedy() -> Iterator[int]:
    """The id of a process that has one other, which is more than it may."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        os.killpg(process.pid, 9)


class Held:
    """A sampler of one tree that has reached its limit, and how often it was found to have."""

    def __init__(self, pid: int, log: str = os.devnull) -> None:
        self.found = 0
        self.sampler = VitalsSampler(lambda: {"a": Watch(lambda: pid, log, LIMITS, self._reached)})
        self.sampler.task_started(LIMITS)

    def _reached(self, sentence: str) -> None:
        assert sentence == "The limit processes of 1 was reached: its tree had 2."
        self.found += 1

    def is_held(self) -> None:
        """Return once it is found again, with what checks do meanwhile."""
        before = self.found

        def again() -> bool:
            if not self.sampler.gets_on():
                self.sampler.mend()
            return self.found > before + 1

        wait_until(again, "the limit is held")


@pytest.fixture
def held(greedy: int) -> Iterator[Held]:
    held = Held(greedy)
    yield held
    held.sampler.close()


def test_nothing_is_imported_to_hold_a_limit_for_the_first_time(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    held.is_held()


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), MemoryError(), RuntimeError("odd"), ValueError()]
)
def test_an_error_in_a_look_costs_that_look_and_is_said_once_until_it_works_again(
    held: Held, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(trees_module.Tree, "look", fails)
        wait_until(lambda: "cannot be looked at now" in (held.sampler.latest("a") or _None).note, "it is said")
    held.is_held()

    wait_until(lambda: not (held.sampler.latest("a") or _None).note, "the note is gone")
    texts = [record.getMessage() for record in caplog.records]
    assert [text.partition(",")[0] for text in texts] == [
        "Task a cannot be looked at",
        "Task a can be looked at again.",
    ]


class _None:
    note = ""


def test_an_error_besides_a_look_costs_nothing_either(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def fails(_path: str) -> None:
        failed.set()
        raise MemoryError

    monkeypatch.setattr(looker_module, "bound_log", fails)
    assert failed.wait(PATIENCE)
    held.is_held()


def end(thread: threading.Thread) -> None:
    """Have the thread end where it holds nothing: an exception from outside may come when it has a file open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looker_module.Looker, "_bound_logs", lambda *_: sys.exit())
        thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_died_is_replaced_and_that_is_logged(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    held.is_held()
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "subactors-vitals")
    end(thread)
    held.is_held()

    assert "The thread that holds limits on memory, processes and CPU time has ended unexpectedly." in caplog.text


def test_a_thread_that_cannot_be_started_is_tried_again_and_said_meanwhile(
    greedy: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        held = Held(greedy)
        held.sampler.mend()
        vitals = held.sampler.latest("a")
    held.is_held()
    held.sampler.close()

    assert vitals is not None
    assert vitals.note == (
        "It cannot be looked at now, nor held to limits on memory, processes and CPU time: can't start new thread"
    )
    assert len([record for record in caplog.records if "cannot be started" in record.getMessage()]) == 1


@pytest.mark.parametrize("place", ["log", "tree"])
def test_a_look_that_hangs_is_left_alone_and_limits_are_held_by_another_thread(
    greedy: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    hangs, go_on = threading.Event(), threading.Event()
    held = Held(greedy, log="/a/log")

    def hang(*_: object) -> None:
        hangs.set()
        go_on.wait(PATIENCE)

    if place == "log":
        monkeypatch.setattr(looker_module, "bound_log", hang)
    else:
        look: Callable[..., Any] = trees_module.Tree.look
        monkeypatch.setattr(trees_module.Tree, "look", lambda tree, *args: hang() if tree.waits else look(tree, *args))
    try:
        assert hangs.wait(PATIENCE)
        threads = [thread for thread in threading.enumerate() if thread.name == "subactors-vitals"]
        held.is_held()
    finally:
        go_on.set()
        for thread in threads:
            thread.join(PATIENCE)
        held.sampler.close()

    what = "log /a/log" if place == "log" else "tree a"
    assert f"A look at {what} hangs; another thread goes on without it." in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_runtime_notices_that_the_thread_has_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "_CHECK", 0.05)
    with Runtime.from_mapping(TEAM, stop_grace=0.3) as runtime:
        speaking(runtime, "waits", str(tmp_path / "end"))
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "subactors-vitals")
        end(thread)
        view = run_and_wait(runtime, "forks", "5")
        (tmp_path / "end").touch()

    assert view.status == "failed"
    assert view.reason.startswith("The limit processes of 2 was reached: its tree had ")
