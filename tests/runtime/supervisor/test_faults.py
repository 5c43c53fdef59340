"""Every fault of the fault kit beside twenty healthy tasks: those complete, and nothing of the faulty one is left."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from first_forms import first_always
from processes_and_waits import OF_NO_TASK, Process, descendants_of, is_gone, wait_until
from subactors.actors import Child, ProcessExit
from subactors.actors.host import outbox as outbox_module
from subactors.actors.host import process as process_module
from subactors.runtime import Runtime, TaskView
from subactors.runtime.supervisor.supervisor import TaskSupervisor
from subactors.runtime.testing import BEFORE, FAULTS, fault_team
from teams import PATIENCE, run_and_wait

SIBLINGS: Final = 20
FLOOD: Final = int(os.environ.get("SUBACTORS_FLOOD", "200"))
"""Megabytes of output, and thousands of messages, that a flood has."""

Check = Callable[[TaskView], None]


def team() -> dict[str, Any]:
    """The kit's team, with a limit where a fault would never end for another reason, and agents for siblings."""
    found = fault_team(max_running=30, max_tasks=10_000, max_output=1_000_000, stop_grace=0.5)
    found["agents"]["leak_memory"]["limits"] = {"memory": "200MB"}
    found["agents"]["sibling"] = {"entrypoint": "healthy_entrypoints:works_in_steps"}
    return found


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(team(), standby=0, **place) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def failed(*words: str) -> Check:
    """It has failed, and the reason has these words."""

    def check(view: TaskView) -> None:
        assert view.status == "failed"
        assert all(word in view.reason for word in words), view.reason
        assert view.result is None

    return check


def killed(view: TaskView) -> None:
    """It had to be killed."""
    assert view.status == "stopped"
    assert "did not react, and was killed after the grace period" in view.reason


def completed(result: Any) -> Check:
    """It has completed with this result."""

    def check(view: TaskView) -> None:
        assert (view.status, view.reason, view.result) == ("completed", "", result)

    return check


def left_no_daemon(view: TaskView) -> None:
    """It has completed, and what it had started is gone with it."""
    assert view.status == "completed"
    pids = json.loads(view.result)
    assert len(pids) == 2
    assert all(map(is_gone, pids))


NEVER_ENDS: Final = {"hang_in_python", "hang_in_c", "ignore_signals"}

EXPECTED: Final[dict[str, tuple[str, Check]]] = {
    "raise_error": ("no good", failed("ValueError: no good")),
    "segfault": ("go", failed("was ended by SIGSEGV", "Segmentation fault", "in segfault")),
    "hang_in_python": ("go", killed),
    "fork_daemon": ("go", left_no_daemon),
    "break_protocol": ("go", failed("broke the protocol: a frame that announces 2,147,483,648 bytes")),
    "exit_without_answer": ("go", failed("ended by itself with exit status 3")),
    "hang_in_c": ("go", killed),
    "ignore_signals": ("go", killed),
    "leak_memory": ("go", failed("The limit memory of 200 MB was reached")),
    "flood_output": ("30", completed("30 MB said")),
    "flood_messages": ("50000", completed("50000 messages sent")),
    "fill_stderr": ("50", completed("50 MB written")),
    "unknown_message": ("go", failed("broke the protocol: a message that fits none of the declared types")),
    "half_a_frame": ("go", failed("broke the protocol: its last frame is incomplete")),
    "close_channel": ("go", failed("its process closed its connection to the host")),
    "stop_reading": ("go", failed("broke the protocol: it stopped reading")),
}


def test_every_fault_is_tried_here() -> None:
    assert set(EXPECTED) == set(FAULTS)


@first_always("fault", EXPECTED, keep=5)
def test_a_fault_hurts_its_own_task_only_and_the_host_tells_how_it_ended(
    runtime: Runtime, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_PATIENCE", 0.1)
    monkeypatch.setattr(process_module, "_CLOSED_CHANNEL_GRACE", 0.2)
    text, check = EXPECTED[fault]
    go_on = tmp_path / "go on"
    siblings = [
        runtime.run("sibling", json.dumps({"number": number, "go_on": str(go_on)})) for number in range(SIBLINGS)
    ]
    faulty = runtime.run(fault, text)
    wait_until(lambda: runtime.view(faulty).output.startswith(BEFORE), "the fault", limit=PATIENCE)
    shown = {view.id for view in runtime.list()}  # answered while the fault is under way, or just over
    halfway = [runtime.view(sibling) for sibling in siblings]
    view = runtime.stop(faulty)[0] if fault in NEVER_ENDS else runtime.wait([faulty], timeout=PATIENCE)[0]
    go_on.touch()
    ended = runtime.wait(siblings, timeout=PATIENCE)

    check(view)
    assert view.output.startswith(BEFORE)
    assert {faulty, *siblings} <= shown
    assert {view.status for view in halfway} <= {"starting", "running"}
    assert [(view.status, view.reason) for view in ended] == [("completed", "")] * SIBLINGS
    for number, sibling in enumerate(ended):
        total = 6 * sum(each * each for each in range(number * 100))
        assert sibling.result == {"number": number, "total": total}
        assert sibling.output == "".join(f"{number} step {step}\n" for step in range(6))
    wait_until(lambda: not actors_of_this_process(), "no process of any task is left")


def actors_of_this_process() -> list[Process]:
    """What runs below this process and is of some task; not the tracker of `multiprocessing`, if others use that."""
    module = sys.modules.get("multiprocessing.resource_tracker")
    tracker = module._resource_tracker._pid if module is not None else None
    below = descendants_of(os.getpid())
    return [process for process in below if process.name not in OF_NO_TASK and process.pid != tracker]


def test_a_task_that_has_too_many_answers_waiting_is_ended_though_it_has_read_lately(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "_ANSWERS_LIMIT", 1_000_000)
    monkeypatch.setattr(outbox_module, "_PATIENCE", 3600.0)

    view = run_and_wait(runtime, "stop_reading")

    assert view.status == "failed"
    assert "broke the protocol: it stopped reading; 1," in view.reason


def test_an_orchestrator_can_be_played_from_a_script(runtime: Runtime) -> None:
    script = [
        [["run_background_agent", {"agent": "wait_for_stop", "task": "go"}]],
        [["run_background_agent", {"agent": "echo", "task": "hello"}]],
        [["stop_background_agent", {"task_id": "$1"}], ["list_background_agents", {}]],
    ]
    view = run_and_wait(runtime, "orchestrator", json.dumps(script))

    assert view.status == "completed", view.reason
    first, second, stopped, listed = json.loads(view.result)
    assert first.startswith("Started agent_task_")
    assert second.startswith("Started agent_task_")
    assert "stopped" in stopped
    assert first.split()[1].strip(".:") in listed


# --- floods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "text"), [("flood_output", "100000"), ("flood_messages", "100000000")])
def test_the_others_are_answered_during_a_flood(runtime: Runtime, fault: str, text: str) -> None:
    faulty = runtime.run(fault, text)
    wait_until(lambda: runtime.view(faulty).output.startswith(BEFORE), "the fault", limit=PATIENCE)

    views = [run_and_wait(runtime, "echo", str(number)) for number in range(3)]
    listed = [view.status for view in runtime.list() if view.id == faulty]
    stopped = runtime.stop(faulty)[0]

    assert [view.result for view in views] == ["0", "1", "2"]
    assert listed == ["running"]
    assert stopped.status == "stopped"


def test_many_tiny_messages_leave_little_behind(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = TaskSupervisor.child_ended
    tools: list[int] = []

    def count_and_end(supervisor: TaskSupervisor, child: Child, end: ProcessExit) -> None:
        attempt = supervisor._by_child[child].attempt
        assert attempt is not None
        tools.append(len(attempt.tools))
        ended(supervisor, child, end)

    monkeypatch.setattr(TaskSupervisor, "child_ended", count_and_end)
    view = run_and_wait(runtime, "flood_messages", "1000")
    supervisor = runtime._host.supervisor._actor_weakref()
    assert supervisor is not None
    assert max(tools) <= 100
    assert supervisor._registry._tasks[view.id].attempt is None


@pytest.mark.slow
@pytest.mark.timeout(60 + FLOOD)
@pytest.mark.parametrize(
    ("fault", "text", "result"),
    [
        ("flood_output", f"{FLOOD}", f"{FLOOD} MB said"),
        ("flood_messages", f"{FLOOD * 1000}", f"{FLOOD * 1000} messages sent"),
    ],
)
def test_a_flood_is_taken_to_its_end_while_the_others_are_answered_and_the_host_does_not_grow(
    runtime: Runtime, fault: str, text: str, result: str
) -> None:
    other = run_and_wait(runtime, "echo", "not flooded")
    host = psutil.Process()
    size = most = host.memory_info().rss
    times: list[float] = []
    started = time.monotonic()
    faulty = runtime.run(fault, text)
    while not runtime.wait([faulty], timeout=0.01):
        asked = time.monotonic()
        assert {other.id, faulty} <= {view.id for view in runtime.list()}
        answered = time.monotonic()
        assert runtime.view(other.id).result == "not flooded"
        times += [answered - asked, time.monotonic() - answered]
        most = max(most, host.memory_info().rss)
    view = runtime.view(faulty)

    assert (view.status, view.reason, view.result) == ("completed", "", result)
    assert most - size < 100_000_000
    times.sort()
    middle, slowest = (1000 * times[len(times) * share // 100] for share in (50, 99))
    print(
        f"{result} in {time.monotonic() - started:.1f} s; the host grew by {(most - size) / 1e6:.0f} MB; "
        f"list and view took {middle:.1f} ms in the middle, {slowest:.1f} ms at the 99th percentile."
    )


def test_standard_error_is_kept_within_bounds_while_it_is_written_and_afterwards(runtime: Runtime) -> None:
    task_id = runtime.run("fill_stderr", "100000")
    log = runtime._host.folder.log / f"{task_id}.log"

    wait_until(lambda: b"bytes were left out here" in beginning(log), "the file has been cut", limit=PATIENCE)
    runtime.stop(task_id)

    assert log.stat().st_size <= 10_000_000


def test_a_log_that_grew_too_long_before_anybody_looked_is_cut_at_the_end_of_its_task(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "fill_stderr", "30")
    log = runtime._host.folder.log / f"{view.id}.log"

    assert view.result == "30 MB written"
    assert log.stat().st_size <= 10_000_000
    assert b"bytes were left out here" in beginning(log)
    assert log.read_bytes().endswith(b"flood flood \n")


def beginning(path: Path) -> bytes:
    """The first line of a file that has been cut, however quickly its writer goes on; nothing if it is new."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(100)
