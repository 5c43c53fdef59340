"""How a task ends, for whatever reason: status, reason and what stays readable."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes_and_waits import is_gone, wait_until
from returned_values import large_data, large_text
from subactors.runtime import Runtime
from teams import entrypoint_team, run_and_wait, shared_runtime, speaking, wait_until_running


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with shared_runtime(**place) as runtime:
        yield runtime


# --- by itself ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", ["echo", "echo_async"])
def test_a_task_that_returns_is_completed_without_a_reason(runtime: Runtime, agent: str) -> None:
    view = run_and_wait(runtime, agent, "three lines")

    assert (view.status, view.reason, view.result) == ("completed", "", "three lines")
    assert view.pid is None


@pytest.mark.host_only("its environment and module path are the node's own")
def test_a_task_works_on_the_main_thread_of_a_process_of_its_own_with_the_hosts_view_of_the_moment(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUBACTORS_TEST", "of this moment")
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))

    task_id = runtime.run("report", "what it is", expected_output="a mapping")
    (view,) = runtime.wait([task_id])

    seen = view.result
    assert (seen["id"], seen["agent"], seen["text"]) == (task_id, "report", "what it is")
    assert seen["expected_output"] == "a mapping"
    assert seen["pid"] not in {os.getpid(), os.getppid()}
    assert seen["thread"]
    assert seen["directory"] == str(tmp_path)
    assert seen["environ"]["SUBACTORS_TEST"] == "of this moment"
    assert str(tmp_path / "modules") in seen["path"]
    assert seen["stdin"] == ""
    assert not seen["stop_requested"]


def test_a_team_without_language_models_does_not_load_a_model_client(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "report").result["openai"] is False


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("none", None),
        ("number", 1.5),
        ("mapping", {"a": [1, None, {"b": True}]}),
        ("tuple", [1, [2]]),
        ("dataclass", {"x": 1, "y": 2}),
        ("uuid", "00000000-0000-0000-0000-000000000001"),
        ("keys", {"1": "one"}),
        ("surrogates", "a😀b"),
        ("surrogates inside", {"a": "😀"}),
        pytest.param("many values", [[]] * 1_100_000, marks=pytest.mark.slow),
        ("long", "x" * 9_000_000),
        ("huge number", 2**70),
    ],
)
def test_a_result_is_text_or_what_json_makes_of_it(runtime: Runtime, kind: str, result: object) -> None:
    view = run_and_wait(runtime, "returns", kind)

    assert (view.status, view.result) == ("completed", result)


@pytest.mark.parametrize(
    "kind",
    [
        "object",
        "exception",
        "function",
        "tuple keys",
        "deep",
        "circle",
    ],
)
def test_a_result_that_json_cannot_hold_fails_the_task_and_says_what_would_be_right(
    runtime: Runtime, kind: str
) -> None:
    view = run_and_wait(runtime, "returns", kind)

    assert (view.status, view.result) == ("failed", None)
    assert view.reason.startswith("TypeError: The entrypoint of agent 'returns' returned what JSON cannot hold")
    assert "Return text" in view.reason


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("large text", large_text), pytest.param("large data", large_data, marks=pytest.mark.slow)],
    ids=["text", "data"],
)
def test_a_large_result_arrives(runtime: Runtime, kind: str, expected: Callable[[], object]) -> None:
    view = run_and_wait(runtime, "returns", kind)

    assert (view.status, view.reason) == ("completed", "")
    assert view.result == expected()
    assert len(str(view.result_json)) > 5_000_000


@pytest.mark.parametrize("agent", ["raises", "raises_async"])
def test_a_task_that_raises_is_failed_with_type_and_message(runtime: Runtime, agent: str) -> None:
    view = run_and_wait(runtime, agent, "no good")

    assert (view.status, view.reason) == ("failed", "ValueError: no good")
    assert view.output == "so far "


def test_an_exception_without_text_is_told_by_its_type(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "raises_without_words").reason == "SilentError"


def test_sys_exit_is_no_answer(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "exits", "enough")

    assert (view.status, view.reason, view.output) == ("failed", "SystemExit: enough", "so far ")


@pytest.mark.parametrize("code", [3, 0])
def test_a_process_that_exits_without_an_answer_is_failed_with_its_exit_status(runtime: Runtime, code: int) -> None:
    view = run_and_wait(runtime, "exits_at_once", str(code))

    assert view.status == "failed"
    assert f"ended by itself with exit status {code}" in view.reason
    assert (view.output, view.result) == ("so far ", None)


def test_a_segmentation_fault_is_failed_with_the_signal_and_the_traceback_down_to_the_tasks_own_code(
    runtime: Runtime,
) -> None:
    view = run_and_wait(runtime, "segfaults")

    assert view.status == "failed"
    first, *rest = view.reason.splitlines()
    assert "was ended by SIGSEGV" in first
    assert "Fatal Python error: Segmentation fault" in rest
    assert rest[-1].endswith("in segfaults")
    assert "in _read_nothing" in rest[-2]
    assert view.output == "so far "


def test_an_abort_is_failed_with_the_signal(runtime: Runtime) -> None:
    assert "SIGABRT" in run_and_wait(runtime, "aborts").reason


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "SIGKILL, which was not sent from here"), (15, "SIGTERM")]
)
def test_a_process_that_somebody_else_kills_is_failed_with_the_signal(
    runtime: Runtime, number: int, words: str
) -> None:
    task_id = speaking(runtime, "waits")
    pid = runtime.view(task_id).pid
    assert pid is not None

    os.kill(pid, number)

    (view,) = runtime.wait([task_id])
    assert view.status == "failed"
    assert words in view.reason
    assert view.output == "so far "


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("kind", "a frame of unknown kind 9"),
        ("length", "a frame that announces 2,147,483,648 bytes"),
        ("garbage", "a message that fits none of the declared types"),
        ("report", "a report that fits none of the declared types"),
        ("request", "a request that fits none of the declared types"),
        ("torn", "frame"),
    ],
)
def test_a_process_that_breaks_the_protocol_is_failed_with_what_was_wrong(
    runtime: Runtime, how: str, words: str
) -> None:
    view = run_and_wait(runtime, "breaks_protocol", how)

    assert view.status == "failed"
    assert view.reason.startswith("The task's process broke the protocol: ")
    assert words in view.reason
    assert view.output == "so far "


@pytest.mark.parametrize("timeout", ["inf", "nan", "1e300", "-1"])
def test_no_timeout_that_a_task_asks_for_disturbs_the_host(runtime: Runtime, timeout: str) -> None:
    task_id = speaking(runtime, "asks_what_nobody_may", timeout)

    assert run_and_wait(runtime, "echo").status == "completed"
    assert runtime.stop(task_id)[0].status == "stopped"


def test_a_process_that_lives_on_after_its_answer_is_ended_and_its_answer_counts(runtime: Runtime) -> None:
    task_id = runtime.run("lives_on_after_its_answer", "go")
    pid = wait_until_running(runtime, task_id).pid

    (view,) = runtime.wait([task_id])

    assert (view.status, view.reason, view.result) == ("completed", "", "answered")
    assert pid is None or is_gone(pid)


def test_a_process_that_crashes_after_its_answer_has_answered(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "crashes_after_its_answer")

    assert (view.status, view.result) == ("completed", "answered")


def test_a_coroutine_that_cannot_be_cancelled_does_not_keep_the_answer(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "leaves_a_stubborn_coroutine")

    assert (view.status, view.result) == ("completed", "answered")


def test_what_a_task_says_after_its_answer_does_not_change_the_answer(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "says_after_its_answer")

    assert (view.status, view.result) == ("completed", "answered")
    assert view.output.startswith("more more ")


def test_what_an_entrypoint_prints_is_its_output_and_what_goes_below_python_disturbs_nothing(
    runtime: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    view = run_and_wait(runtime, "prints")

    assert (view.status, view.result, view.output) == ("completed", "done", "printed\nprinted\nemitted")
    assert capfd.readouterr() == ("", "")


def test_text_from_several_threads_arrives_whole(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "says_from_threads")

    assert sorted(view.output.splitlines()) == sorted(f"{name} {number}" for name in "abcd" for number in range(100))


def test_a_process_that_a_task_left_behind_is_gone_when_the_task_has_ended(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "starts_a_process")

    assert is_gone(int(view.output))


def test_a_generator_function_is_refused_with_what_to_do_instead(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "yields")

    assert view.status == "failed"
    assert "Return a list of what it yields" in view.reason


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_module:function", "no module 'no_such_module'"),
        ("entrypoints:ekho", "Did you mean 'echo'?"),
        ("entrypoints:not_callable", "cannot be called"),
    ],
)
def test_an_entrypoint_that_cannot_be_had_fails_the_task_and_says_why(
    target: str, words: str, place: dict[str, Any]
) -> None:
    with Runtime.from_mapping({"agents": {"broken": {"entrypoint": target}}}, standby=0, **place) as runtime:
        view = run_and_wait(runtime, "broken")

    assert view.status == "failed"
    assert words in view.reason


# --- stopped --------------------------------------------------------------------------------------------------------


def test_a_task_that_looks_for_a_stop_ends_by_itself_and_its_answer_is_kept(runtime: Runtime) -> None:
    view = runtime.stop(speaking(runtime, "waits"))[0]

    assert view.status == "stopped"
    assert view.reason.startswith("Stopped by the host program; it ended ")
    assert (view.result, view.output) == ("half of it", "so far ")


def test_a_coroutine_is_cancelled_and_may_tidy_up(runtime: Runtime) -> None:
    view = runtime.stop(speaking(runtime, "waits_async"))[0]

    assert view.status == "stopped"
    assert view.reason.startswith("Stopped by the host program; it ended ")
    assert view.output == "so far tidied up"


def test_a_coroutine_may_answer_when_it_is_cancelled(runtime: Runtime) -> None:
    view = runtime.stop(speaking(runtime, "answers_when_cancelled"))[0]

    assert (view.status, view.result) == ("stopped", "half of it")


def test_a_task_that_raises_when_it_is_stopped_is_stopped_and_says_what_it_raised(runtime: Runtime) -> None:
    view = runtime.stop(speaking(runtime, "raises_when_cancelled"))[0]

    assert view.status == "stopped"
    assert view.reason.startswith("Stopped by the host program; it ended ")
    assert view.reason.endswith("raising OSError: no room to save.")


@pytest.mark.parametrize("agent", ["deaf", "deaf_in_c"])
def test_a_task_that_ignores_everything_is_killed_after_the_grace_period(runtime: Runtime, agent: str) -> None:
    task_id = speaking(runtime, agent)
    pid = runtime.view(task_id).pid
    assert pid is not None

    view = runtime.stop(task_id)[0]

    assert view.status == "stopped"
    assert "did not react, and was killed after the grace period of 0.5 s" in view.reason
    assert "may be half done" in view.reason
    assert view.output == "so far "
    assert is_gone(pid)


def test_a_task_that_is_being_stopped_can_be_seen_and_read(runtime: Runtime) -> None:
    task_id = speaking(runtime, "deaf")
    stopping = threading.Thread(target=runtime.stop, args=(task_id,))
    stopping.start()

    wait_until(lambda: runtime.view(task_id).status == "stopping", "it is being stopped")

    view = runtime.view(task_id)
    assert (view.output, view.reason) == ("so far ", "")
    stopping.join()


# --- nobody else is hurt --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "task"),
    [("raises", "x"), ("exits_at_once", "3"), ("segfaults", "x"), ("breaks_protocol", "length"), ("deaf", "x")],
)
def test_the_end_of_one_task_touches_neither_its_siblings_nor_the_host(
    runtime: Runtime, tmp_path: Path, agent: str, task: str
) -> None:
    gate = tmp_path / "gate"
    sibling = speaking(runtime, "waits_for_file", str(gate))

    task_id = speaking(runtime, agent, task)
    if agent == "deaf":
        runtime.stop(task_id)
    (ended,) = runtime.wait([task_id])
    assert ended.status in {"failed", "stopped"}

    assert runtime.view(sibling).status == "running"
    gate.touch()
    (view,) = runtime.wait([sibling])
    assert (view.status, view.result) == ("completed", "the file is there")


def test_five_tasks_live_side_by_side_in_five_processes(runtime: Runtime, tmp_path: Path) -> None:
    place = json.dumps({"folder": str(tmp_path), "count": 5})

    ids = [runtime.run("meet", place) for _ in range(5)]
    views = runtime.wait(ids)

    # Each has seen all five at work at one moment.
    assert [view.status for view in views] == ["completed"] * 5
    assert len({view.result for view in views} | {os.getpid()}) == 6


def test_tasks_are_reported_failed_when_their_zygote_is_killed_and_the_next_task_gets_a_new_one(
    place: dict[str, Any],
) -> None:
    with Runtime.from_mapping(entrypoint_team(), standby=0, **place) as runtime:
        task_id = speaking(runtime, "waits")
        zygote = psutil.Process(runtime.view(task_id).pid).ppid()

        os.kill(zygote, signal.SIGKILL)

        (view,) = runtime.wait([task_id])
        assert view.status == "failed"
        assert "the zygote ended" in view.reason
        assert view.output == "so far "
        assert run_and_wait(runtime, "echo").status == "completed"
