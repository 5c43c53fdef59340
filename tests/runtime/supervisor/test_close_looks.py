"""Close looks: what a silent task does, seen from outside, by those who view it; nothing ends for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import subactors
from processes_and_waits import wait_until
from subactors.runtime import AsyncRuntime, Runtime, RuntimeClosedError, TaskView
from subactors.runtime.tasks.views import ProcessSeen, Silence, ToolInUse
from subactors.runtime.tasks.wording import describe_view
from teams import call, run_and_wait

pytestmark = pytest.mark.usefixtures("warm_commands", "zygote_for_tasks")

PATIENCE = 30.0

NAMES = [
    "matches_for_ever",
    "sleeps",
    "waits_for_a_program",
    "waits_for_a_word",
    "has_handlers",
    "leaves_signals_to_others",
    "speaks_at_a_word",
    "floods_its_log",
]

TEAM: dict[str, Any] = {
    "agents": {
        **{name: {"entrypoint": f"silent_ones:{name}"} for name in NAMES},
        "sheller": {"model": "python/silent_ones:shells", "toolsets": [{"type": "shell"}]},
        "boss": {
            "model": "python/silent_ones:shells",
            "sub_agents": ["sleeps"],
            "toolsets": [{"type": "background_agents"}],
        },
    },
    "runtime": {"stall_after": 0.1, "stop_grace": 0.5, "standby": 0},
}


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, standby=0, **place) as runtime:
        run_and_wait(runtime, "has_handlers", "/")  # with all threads there before a test counts them
        yield runtime


def _is_silent(runtime: Runtime, task_id: str) -> bool:
    """Whether a task has begun its work, and is silent since."""
    (view,) = [view for view in runtime.list() if view.id == task_id]
    return view.silent > 0 and bool(view.output or view.doing == "in shell")


@contextlib.contextmanager
def _silent(runtime: Runtime, agent: str, text: str = "go") -> Iterator[str]:
    task_id = runtime.run(agent, text).id
    wait_until(lambda: _is_silent(runtime, task_id), "it is silent")
    try:
        yield task_id
    finally:
        runtime.stop(task_id)


def _seen(runtime: Runtime, task_id: str) -> Silence:
    silence = runtime.view(task_id).silence
    assert silence is not None
    return silence


def _stack_seen(runtime: Runtime, task_id: str) -> Silence:
    """Return the same once the stack is there: a process gets no core for a while on a busy machine."""

    def is_there() -> bool:
        silence = runtime.view(task_id).silence  # None where its last word is listed and not yet counted
        return silence is not None and bool(silence.stack)

    wait_until(is_there, "it has written its stack", limit=PATIENCE)
    return _seen(runtime, task_id)


def _log(runtime: Runtime, task_id: str) -> str:
    """What is in the log that a look has written to; from a node it comes a moment later."""
    log = runtime._host.folder.log / f"{task_id}.log"
    wait_until(lambda: log.exists() and "most recent call first" in log.read_text(), "it has come home")
    return log.read_text()


# --- what is seen ---------------------------------------------------------------------------------------------------


def test_of_code_that_is_stuck_in_c_the_stack_is_seen_and_that_it_computes(runtime: Runtime) -> None:
    with _silent(runtime, "matches_for_ever") as task_id:
        silence = _stack_seen(runtime, task_id)

        first, *_, last = silence.stack.splitlines()
        assert first.endswith(" in match")
        assert last.endswith(" in matches_for_ever")
        (process,) = silence.processes
        assert process.pid == runtime.view(task_id).pid
        assert process.state == "running"
        assert process.cpu_percent is not None
        assert process.cpu_seconds > 0
        assert (silence.tools, silence.missing) == ((), "")
        assert runtime.view(task_id).status == "running"


def test_of_code_that_waits_for_a_program_the_program_is_seen(runtime: Runtime) -> None:
    with _silent(runtime, "waits_for_a_program") as task_id:
        silence = _stack_seen(runtime, task_id)

        assert "in waits_for_a_program" in silence.stack
        assert [process.state for process in silence.processes] == ["sleeping", "sleeping"]
        assert [process.name for process in silence.processes][1:] == ["sleep"]


def test_of_an_agent_the_tool_is_seen_that_it_is_in_and_for_how_long(runtime: Runtime) -> None:
    with _silent(runtime, "sheller") as task_id:
        wait_until(
            lambda: {"sleep", "cat"} <= {process.name for process in _seen(runtime, task_id).processes},
            "its programs run",
            limit=PATIENCE,
        )
        silence = _stack_seen(runtime, task_id)

        (tool,) = silence.tools
        assert tool.name == "shell"
        assert 0 < tool.seconds < PATIENCE
        assert {"sleep", "cat"} <= {process.name for process in silence.processes}
        assert " in select" in silence.stack


def test_who_has_started_a_silent_task_sees_the_same_as_text(runtime: Runtime) -> None:
    with runtime.toolset("boss") as toolset:
        started = call(toolset, "run_background_agent", agent="sleeps", task="go").data["task_id"]
        wait_until(lambda: _is_silent(runtime, started), "it is silent")
        wait_until(lambda: "_deeply" in call(toolset, "view_background_agent", task_id=started).text, "it is seen")
        answer = call(toolset, "view_background_agent", task_id=started)
        call(toolset, "stop_background_agent", task_id=started)

    assert "--- What it does, seen from outside ---\nIts main thread, the innermost call first" in answer.text
    assert "in _sleep_deeply" in answer.text
    assert ": sleeping, CPU 0." in answer.text
    assert answer.data["silence"]["processes"][0]["state"] == "sleeping"


def test_the_awaited_form_sees_it_too() -> None:

    async def main() -> Silence:
        async with AsyncRuntime.from_mapping(TEAM, standby=0) as runtime:
            task = await runtime.run("sleeps", "go")
            while (silence := (await task.view()).silence) is None or "_deeply" not in silence.stack:
                pass
            return silence

    silence = asyncio.run(main())

    assert "in _sleep_deeply" in silence.stack


def test_the_command_line_shows_it(tmp_path: Path) -> None:
    with Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime, _silent(runtime, "sleeps") as task_id:
        _stack_seen(runtime, task_id)
        state = ("--state-dir", str(tmp_path))
        text = subactors(tmp_path, "view", task_id, *state).stdout
        data = json.loads(subactors(tmp_path, "view", task_id, "--json", *state).stdout)

    assert re.search(r"^Silence: +Its main thread, the innermost call first", text, re.MULTILINE)
    assert "in _sleep_deeply" in text
    assert "in _sleep_deeply" in data["silence"]["stack"]


# --- nothing ends for it --------------------------------------------------------------------------------------------


def test_a_task_that_is_looked_at_again_and_again_goes_on_and_writes_its_stack_once(
    runtime: Runtime, tmp_path: Path
) -> None:
    word = tmp_path / "word"
    with _silent(runtime, "waits_for_a_word", str(word)) as task_id:
        first = _stack_seen(runtime, task_id)
        wait_until(lambda: _seen(runtime, task_id).processes != first.processes, "it is looked at anew", limit=PATIENCE)
        again = _seen(runtime, task_id)
        log = _log(runtime, task_id)
        word.touch()
        (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert view.result == "it came"
    assert again.stack == first.stack
    assert again.stack_age > first.stack_age
    assert log.count("Current thread") == 1


def test_the_log_says_that_the_stacks_in_it_come_of_a_look(runtime: Runtime) -> None:
    with _silent(runtime, "sleeps") as task_id:
        _stack_seen(runtime, task_id)
        log = _log(runtime, task_id)

    mark, first, *_ = log.splitlines()
    assert re.fullmatch(r"\[Somebody has looked at this task at \S+Z\. It went on; this is what it did then:\]", mark)
    assert first.startswith(("Thread 0x", "Current thread 0x"))


def test_a_task_that_speaks_again_is_silent_no_more_and_the_next_silence_has_its_own_stack(
    runtime: Runtime, tmp_path: Path
) -> None:
    word = tmp_path / "word"
    with _silent(runtime, "speaks_at_a_word", str(word)) as task_id:
        before = _stack_seen(runtime, task_id)
        word.touch()
        wait_until(lambda: runtime.view(task_id).output.endswith("a word"), "it speaks")
        wait_until(lambda: runtime.view(task_id).silence is not None, "it is silent again")
        after = _stack_seen(runtime, task_id)

    assert after.stack != before.stack


def test_a_task_with_handlers_of_its_own_is_not_disturbed(runtime: Runtime, tmp_path: Path) -> None:
    word = tmp_path / "word"
    with _silent(runtime, "has_handlers", str(word)) as task_id:
        silence = _seen(runtime, task_id)
        word.touch()
        (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert silence.stack == ""
    assert silence.missing == "Its process does not write its stacks any more."
    assert len(silence.processes) == 1
    assert view.result == []


def test_the_stack_of_the_main_thread_is_seen_whichever_thread_writes_it(runtime: Runtime, tmp_path: Path) -> None:
    with _silent(runtime, "leaves_signals_to_others", str(tmp_path / "word")) as task_id:
        silence = _stack_seen(runtime, task_id)

    assert "in leaves_signals_to_others" in silence.stack


def test_a_task_that_is_stopped_by_a_signal_is_seen_so_and_goes_on_after_it(runtime: Runtime, tmp_path: Path) -> None:
    word = tmp_path / "word"
    with _silent(runtime, "waits_for_a_word", str(word)) as task_id:
        pid = runtime.view(task_id).pid
        assert pid is not None
        runtime.view(task_id)
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: _seen(runtime, task_id).processes[0].state == "stopped", "that is seen", limit=PATIENCE)
        os.kill(pid, signal.SIGCONT)
        word.touch()
        (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert view.result == "it came"


def test_a_task_that_was_stopped_before_has_no_stack_until_it_goes_on_and_that_is_said(
    runtime: Runtime, tmp_path: Path
) -> None:
    word = tmp_path / "word"
    task_id = runtime.run("waits_for_a_word", str(word)).id
    wait_until(lambda: bool(runtime.list()[-1].output), "it runs")
    pid = runtime.list()[-1].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: runtime.list()[-1].silent > 0, "it is silent")
    silence = _seen(runtime, task_id)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: "in waits_for_a_word" in _seen(runtime, task_id).stack, "it is there", limit=PATIENCE)
    log = _log(runtime, task_id)
    word.touch()
    (view,) = runtime.wait([task_id], timeout=PATIENCE)

    assert silence.stack == ""
    assert silence.missing.startswith("Its process was asked for its stack, and has not written it yet")
    assert log.count("Current thread") == 1
    assert silence.processes[0].state == "stopped"
    assert view.result == "it came"


def test_a_log_that_is_flooded_hides_no_stack(runtime: Runtime) -> None:
    with _silent(runtime, "floods_its_log") as task_id:
        silence = _seen(runtime, task_id)

    assert silence.stack or silence.missing


# --- the supervisor goes on -----------------------------------------------------------------------------------------


def test_many_who_look_at_once_share_a_look_and_hold_up_nobody(runtime: Runtime) -> None:
    with _silent(runtime, "sleeps") as task_id, _silent(runtime, "matches_for_ever") as other:
        found: list[Silence | None] = []
        threads = [
            threading.Thread(target=lambda one=one: found.append(runtime.view(one).silence))  # type: ignore[misc]
            for one in [task_id, other] * 10
        ]
        for thread in threads:
            thread.start()
        assert {view.id for view in runtime.list()} >= {task_id, other}
        for thread in threads:
            thread.join()

    assert len(found) == 20
    assert all(silence is not None for silence in found)


@pytest.mark.host_only("a node looks itself, and has room of its own")
def test_a_look_that_is_put_off_is_taken_when_there_is_room_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _silent(runtime, "sleeps") as task_id:
        with monkeypatch.context() as patch:
            patch.setattr("subactors.runtime.place.closely._MOST_LOOKS", 0)
            put_off = _seen(runtime, task_id)
        seen = _stack_seen(runtime, task_id)

    assert (put_off.stack, put_off.missing) == ("", "Too many looks at tasks are under way. Look again.")
    assert "in _sleep_deeply" in seen.stack
    assert seen.missing == ""


def test_a_look_at_a_task_that_ends_meanwhile_is_answered_with_its_end(runtime: Runtime) -> None:
    with _silent(runtime, "sleeps") as task_id:
        found: list[TaskView] = []
        looking = threading.Thread(target=lambda: found.append(runtime.view(task_id)))
        looking.start()
        runtime.stop(task_id)
        looking.join()

    assert found[0].status in {"running", "stopping", "stopped"}


def test_a_runtime_that_closes_waits_for_no_look() -> None:
    answers: list[object] = []

    def look(task_id: str) -> None:
        try:
            answers.append(runtime.view(task_id))
        except RuntimeClosedError as error:
            answers.append(error)

    with Runtime.from_mapping(TEAM, standby=0) as runtime:
        task_id = runtime.run("sleeps", "go").id
        wait_until(lambda: runtime.list()[0].silent > 0, "it is silent")
        looking = threading.Thread(target=look, args=[task_id])
        looking.start()
    looking.join()

    assert len(answers) == 1


def test_a_task_that_is_not_silent_is_not_looked_at(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "has_handlers", "/").silence is None


# --- in words -------------------------------------------------------------------------------------------------------


def test_a_silence_in_words() -> None:
    silence = Silence(
        tools=(ToolInUse("shell", 245.0),),
        stack='File "a.py", line 5 in inner\nFile "a.py", line 9 in outer',
        stack_age=61.0,
        processes=(ProcessSeen(12, "subactor", "sleeping", 0.51, 0.0), ProcessSeen(15, "sh", "running", 3.2)),
        missing="It is strange.",
    )
    view = TaskView(id="agent_task_1", agent="a", task="x", status="running", silent=250.0, silence=silence)

    assert """\
--- What it does, seen from outside ---
In the tool shell for 4 min 05 s.
Its main thread, the innermost call first, 1 min 01 s ago:
  File "a.py", line 5 in inner
  File "a.py", line 9 in outer
Its processes:
  12 subactor: sleeping, CPU 0.51 s (0 %)
  15 sh: running, CPU 3.20 s
It is strange.
""" in describe_view(view, 30_000)
