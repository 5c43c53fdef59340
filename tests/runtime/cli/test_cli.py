"""The command line, as a program of its own: what it prints where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from command_line import TEAM, begun, subactors, write_team


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_team(tmp_path)


def test_run_prints_the_answer_on_standard_output_and_the_tasks_on_standard_error(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "life")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "The answer to life\n"
    assert "greeter: started: hello" in done.stderr
    assert "greeter: completed after" in done.stderr


def test_standard_input_without_a_task_is_told(folder: Path) -> None:
    done = subactors(folder, "dispatch", "team.yaml", "greeter", "-", text="\n")
    assert done.returncode == 2
    assert "There is no TASK on standard input: give one a line." in done.stderr


def test_run_reads_the_prompt_from_standard_input(folder: Path) -> None:
    assert subactors(folder, "run", "team.yaml", "-", text="stdin").stdout == "The answer to stdin\n"
    assert subactors(folder, "run", "team.yaml", text="stdin").stdout == "The answer to stdin\n"


def test_run_without_a_prompt_is_wrong_usage(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml")
    assert done.returncode == 2
    assert "There is no PROMPT" in done.stderr


def test_run_with_an_unknown_agent_is_wrong_usage_and_lists_the_agents(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "--agent", "nobody", "x")
    assert done.returncode == 2
    assert "root, greeter, failing, patient, pair" in done.stderr


def test_run_of_an_entrypoint_agent_prints_its_result(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "--agent", "greeter", "you")
    assert (done.returncode, done.stdout) == (0, "Hello, you!\n")


def test_run_ends_with_1_and_a_sentence_when_the_model_fails(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "raise")
    assert done.returncode == 1
    started, reason, *traceback, cost = done.stderr.splitlines()
    assert started.endswith(" root: started: raise")
    assert reason == "root: ValueError: the model is broken"
    assert any("cli_models.py" in line for line in traceback)
    assert " root: failed after " in cost


def test_run_ends_with_1_and_the_reason_when_an_entrypoint_root_fails(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "-a", "failing", "x")
    assert done.returncode == 1
    assert "RuntimeError: no luck" in done.stderr


def test_run_prints_what_a_root_hands_back_that_reaches_a_limit(folder: Path) -> None:
    team = yaml.safe_load(TEAM)
    team["agents"]["root"]["limits"] = {"iterations": 1}
    (folder / "bounded.yaml").write_text(yaml.safe_dump(team))

    done = subactors(folder, "run", "bounded.yaml", "x")

    assert (done.returncode, done.stdout) == (1, "starting\n")
    assert "root: The limit iterations of 1 was reached" in done.stderr
    assert "What it had come to before that:" in done.stderr


def test_json_prints_one_event_a_line(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "--json", "fail")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert {"started", "output", "ended", "text", "answer"} <= set(kinds)
    assert kinds.index("started") < kinds.index("output") < kinds.index("ended")
    ended = {event["task"]["agent"]: event["task"] for event in events if event["event"] == "ended"}
    assert (ended["failing"]["status"], ended["failing"]["reason"]) == ("failed", "RuntimeError: no luck")
    assert (ended["root"]["status"], ended["root"]["result"]) == ("completed", "The answer to fail")
    assert ended["failing"]["parent"] == ended["root"]["id"]
    words = [event for event in events if event["event"] == "text"]
    assert "".join(event["text"] for event in words) == "starting\nThe answer to fail"
    assert {(event["agent"], event["task_id"]) for event in words} == {("root", ended["root"]["id"])}
    assert [event["text"] for event in events if event["event"] == "answer"] == ["The answer to fail"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]) for event in events)


def test_dispatch_prints_the_results_in_the_order_of_the_tasks(folder: Path) -> None:
    done = subactors(folder, "dispatch", "team.yaml", "greeter", "--max-running", "2", "a", "b", "c", "d", "e")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("Hello")] == [
        f"Hello, {name}!" for name in "abcde"
    ]


def test_dispatch_takes_tasks_from_standard_input(folder: Path) -> None:
    done = subactors(folder, "dispatch", "team.yaml", "greeter", "first", "-", text="second\n\nthird\n")
    assert [line for line in done.stdout.splitlines() if line.startswith("Hello")] == [
        "Hello, first!",
        "Hello, second!",
        "Hello, third!",
    ]


def test_dispatch_ends_with_1_when_a_task_failed_and_prints_what_it_had_said(folder: Path) -> None:
    done = subactors(folder, "dispatch", "team.yaml", "failing", "x")
    assert done.returncode == 1
    assert "until then" in done.stdout
    assert "Reason: RuntimeError: no luck" in done.stdout


def test_dispatch_of_an_unknown_agent_is_wrong_usage(folder: Path) -> None:
    assert subactors(folder, "dispatch", "team.yaml", "nobody", "x").returncode == 2


def test_a_wrong_team_file_ends_every_command_with_2_and_no_traceback(folder: Path) -> None:
    (folder / "bad.yaml").write_text("agents: [")
    for arguments in (["run", "bad.yaml", "x"], ["dispatch", "bad.yaml", "a", "x"], ["check", "bad.yaml"]):
        done = subactors(folder, *arguments)
        assert done.returncode == 2
        assert "bad.yaml" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_missing_team_file_ends_with_2_and_a_sentence(folder: Path) -> None:
    done = subactors(folder, "run", "nowhere.yaml", "x")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_task_and_ends_the_command(folder: Path, number: signal.Signals) -> None:
    with begun(folder, "run", "team.yaml", "--json", "hang") as program:
        assert program.stdout is not None
        lines = []
        for line in program.stdout:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "output":
                break
        program.send_signal(number)
        lines += [json.loads(line) for line in program.stdout]
        program.wait(timeout=30)
    assert program.returncode == 128 + number
    ended = {line["task"]["agent"]: line["task"] for line in lines if line["event"] == "ended"}
    assert {agent: task["status"] for agent, task in ended.items()} == {"root": "stopped", "patient": "stopped"}
    assert "was interrupted (KeyboardInterrupt)" in ended["patient"]["reason"]
    who = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "the signal SIGTERM"}[number]
    assert ended["root"]["reason"].startswith(f"Stopped by {who}")
    reason = f"interrupted by {who}; every task has been stopped"
    assert {name: lines[-1][name] for name in ("event", "task_id", "agent", "reason")} == {
        "event": "failed",
        "task_id": ended["root"]["id"],
        "agent": "root",
        "reason": reason,
    }


STUBBORN = """\
import time

def work(task):
    task.emit("begun")
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        task.emit("interrupted")
        time.sleep(60)
"""


def test_a_later_ctrl_c_ends_the_command_at_once_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "team.yaml").write_text("agents: {root: {entrypoint: 'stubborn:work'}}\nruntime: {stop_grace: 4}\n")
    with begun(tmp_path, "run", "team.yaml", "--json", "go") as program:
        assert program.stdout is not None
        for line in program.stdout:
            if "begun" in line:
                program.send_signal(signal.SIGINT)
            if "interrupted" in line:  # half of the grace later
                break
        program.send_signal(signal.SIGINT)
        # The pipe closes when the last process that holds it has gone: zygote and task inherit none of it.
        program.stdout.read()
        program.wait(timeout=30)
    assert program.returncode == -signal.SIGINT


def test_the_answer_to_a_closed_pipe_is_no_traceback(folder: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m subactors.runtime.cli run team.yaml x | true"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "Traceback" not in done.stderr


def test_help_of_every_command_is_there(folder: Path) -> None:
    assert "Run teams of LLM agents" in subactors(folder, "--help").stdout
    for command in ("run", "dispatch", "check", "demo", "ps", "view", "stop", "prune", "doctor"):
        assert f"Usage: python -m subactors.runtime.cli {command}" in subactors(folder, command, "--help").stdout


def test_events_have_the_times_at_which_a_task_started_and_ended(folder: Path) -> None:
    before = datetime.now(UTC)
    done = subactors(folder, "run", "team.yaml", "-a", "greeter", "you", "--json")
    after = datetime.now(UTC)
    tasks = [event["task"] for event in map(json.loads, done.stdout.splitlines()) if "task" in event]
    assert [task["ended_at"] is None for task in tasks] == [True, False]
    started, ended = (datetime.fromisoformat(tasks[-1][name]) for name in ("started_at", "ended_at"))
    assert tasks[0]["started_at"] == tasks[-1]["started_at"]
    assert before - timedelta(milliseconds=1) <= started <= ended <= after
    kept = json.loads(subactors(folder, "view", "--json", tasks[-1]["id"]).stdout)
    assert [kept[name] for name in ("started_at", "ended_at")] == [
        tasks[-1][name] for name in ("started_at", "ended_at")
    ]


def test_the_answer_is_the_last_event(folder: Path) -> None:
    for prompt, last in (("life", "answer"), ("raise", "failed")):
        lines = subactors(folder, "run", "team.yaml", "--json", prompt).stdout.splitlines()
        kinds = [json.loads(line)["event"] for line in lines]
        assert kinds[-2:] == ["ended", last]


def test_several_tasks_that_are_stopped_fall_together(folder: Path) -> None:
    with begun(folder, "dispatch", "team.yaml", "pair", "one", "other", "--json") as program:
        assert program.stdout is not None
        ids = []
        while len(ids) < 2:
            event = json.loads(program.stdout.readline())
            if event["event"] == "output":
                ids.append(event["task_id"])
        done = subactors(folder, "stop", *ids)
        program.stdout.read()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Stopped by `subactors stop`; it ended ") == 2


def test_wrong_usage_says_how_it_is_used_and_no_arguments_at_all_are_a_call_for_help(folder: Path) -> None:
    wrong = subactors(folder, "run", "team.yaml", "--what")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("Usage: ")
    assert "run --help' for help.\n\nError: No such option '--what'." in wrong.stderr
    none = subactors(folder)
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr.startswith("Usage: ")
    assert "Error" not in none.stderr
