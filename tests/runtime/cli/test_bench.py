"""`subactors bench`: fan-outs are measured as they are, and compared with the same work done otherwise."""

from __future__ import annotations

import json
import signal
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import click
import pytest
from command_line import begun, subactors
from model_server import ModelServer, Request, Status, Text
from subactors.runtime.cli.bench_run import baseline, numbers, ways_of, work_of

WORK = """\
import asyncio, ctypes, pathlib, time

async def nap(seconds):
    print("napping")
    await asyncio.sleep(seconds)
    return seconds

def crash():
    ctypes.string_at(0)

def hang_but_the_first():
    if pathlib.Path("first").exists():
        pathlib.Path("hangs").touch()
        time.sleep(1000)
    pathlib.Path("first").touch()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text(WORK)
    return tmp_path


def figures(report: dict[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    return {(entry["way"], entry["tasks"]): entry for entry in report["figures"]}


@pytest.mark.slow
def test_a_function_is_measured_as_tasks_threads_processes_and_coroutines(folder: Path) -> None:
    measured = ["bench", "--function", "work:nap", "0.01", "--tasks", "1,3", "--repeat", "2"]
    done = subactors(folder, *measured, "--json", "--plot", "out.svg")
    assert done.returncode == 0, done.stderr
    (folder / "before.json").write_text(done.stdout)

    again = subactors(folder, *measured, "--against", "none", "--compare", "before.json")

    found = figures(json.loads(done.stdout))
    assert found.keys() == {(way, n) for way in ("subactors", "threads", "processes", "coroutines") for n in (1, 3)}
    for entry in found.values():
        assert entry["failures"] == 0
        assert entry["repeats"] == 2
        assert entry["wall"]["low"] >= 0.01
        assert 0 <= entry["start"]["p50"] <= entry["output"]["p50"] <= entry["wall"]["high"]
        assert entry["peak"]["median"] > 1_000_000
    assert len(json.loads(done.stdout)["timeline"]) == 3
    assert "napping" not in done.stdout
    assert ET.parse(folder / "out.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own
    assert "Compared with the figures of" in again.stdout, again.stderr
    assert max(map(len, again.stdout.splitlines())) <= 80


def test_a_crash_is_a_failed_task_and_the_end_of_a_program_with_threads(folder: Path) -> None:
    done = subactors(
        folder, "bench", "--function", "work:crash", "--tasks", "2", "--repeat", "1", "--against", "threads", "--json"
    )

    found = figures(json.loads(done.stdout))
    assert done.returncode == 1
    assert found["subactors", 2]["failures"] == 2
    assert found["subactors", 2]["deaths"] == 0
    assert found["threads", 2]["deaths"] == 1
    assert "SIGSEGV" in found["threads", 2]["reasons"][0]


def test_an_agent_with_a_model_has_its_tokens_cost_and_rate_limits_counted(folder: Path) -> None:
    refusals = iter([Status(429, "slow", {"retry-after-ms": "10"})])

    def answer(_: Request) -> Status | Text:
        return next(refusals, None) or Text("Done.", usage=(10, 5))

    with ModelServer(answer) as server:
        model = f"{{provider: openai, model: m, base_url: '{server.base_url}', cost: {{input: 1, output: 2}}}}"
        (folder / "team.yaml").write_text(f"agents: {{root: {{model: main}}}}\nmodels: {{main: {model}}}\n")
        done = subactors(folder, "bench", "team.yaml", "root", "Say it.", "--tasks", "2", "--repeat", "1", "--json")

    report = json.loads(done.stdout)
    (entry,) = report["figures"]
    assert (entry["input_tokens"], entry["output_tokens"], entry["cost"]) == (20, 10, 40e-6)
    assert entry["rate_limits"] == 1
    assert entry["output"] is not None
    assert "It will run 2 tasks of root, and each asks main" in done.stderr
    assert report["missing"].keys() == {"threads", "processes", "coroutines"}


def test_ctrl_c_ends_everything_and_shows_what_there_is(folder: Path) -> None:
    measured = ["bench", "--function", "work:hang_but_the_first", "--tasks", "1,2", "--repeat", "1"]
    command = begun(folder, *measured, "--against", "none")
    deadline = time.monotonic() + 40
    while not (folder / "hangs").exists():
        assert command.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)

    command.send_signal(signal.SIGINT)
    shown, said = command.communicate(timeout=40)

    assert command.returncode == 130, said
    assert "wall time" in shown
    assert "It was ended before everything was measured." in shown


def test_a_function_that_is_not_there_is_told_with_the_nearest_name(folder: Path) -> None:
    done = subactors(folder, "bench", "--function", "work:naps", "--against", "none")

    assert done.returncode == 1
    assert done.stderr.endswith("Did you mean 'nap'?\n")


@pytest.mark.parametrize("text", ["1,x", "0", "10001", ""])
def test_numbers_of_tasks_are_checked_before_anything_runs(text: str) -> None:
    with pytest.raises(click.BadParameter, match="are no numbers from 1 to 10,000"):
        numbers(text)


def test_what_is_to_be_measured_is_checked_before_anything_runs(folder: Path) -> None:
    places = {"state_dir": None, "working_dir": None}

    with pytest.raises(click.UsageError, match="Give a TEAM, an AGENT of it and a TASK; or a function"):
        work_of(["team.yaml"], None, None, places)
    with pytest.raises(click.BadParameter, match=r"is not of the form package\.module:function"):
        work_of([], "work", None, places)
    with pytest.raises(click.BadParameter, match=r"There is no way 'magic'\."):
        ways_of("threads,magic")
    with pytest.raises(click.BadParameter, match=r"work.py is not what `subactors bench --json` writes"):
        baseline(folder / "work.py")


def test_an_argument_of_a_function_is_json_or_else_text() -> None:
    work, _ = work_of(["1", "[true]", "a: b"], "work:nap", None, {"state_dir": None, "working_dir": None})

    assert work.args == [1, [True], "a: b"]


def test_as_many_are_at_work_in_every_way_as_the_team_lets_run(tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text("{agents: {root: {entrypoint: 'math:sqrt'}}, runtime: {max_running: 3}}")
    places = {"state_dir": None, "working_dir": None}

    assert work_of([str(team), "root", "4"], None, None, places)[0].concurrency == 3
    assert work_of([str(team), "root", "4"], None, 5, places)[0].concurrency == 5
    assert work_of([], "math:sqrt", None, places)[0].concurrency == 20
