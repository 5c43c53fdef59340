"""The benchmarks run, with the smallest numbers, for the contenders that need nothing more than the product does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes_and_waits import wait_until

pytestmark = pytest.mark.timeout(300)  # some ten programs that import a model client, one after the other

ROOT = Path(__file__).parents[2]


def run_in_root(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def measured(path: Path, peers: str, *scenarios: str) -> dict[str, Any]:
    """Return what the smallest run of some scenarios measures of some contenders."""
    chosen = [word for name in scenarios for word in ("--only", name)]
    done = run_in_root("-m", "benchmarks", "--smoke", "--peers", peers, *chosen, "--json", str(path))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measured(tmp_path_factory.mktemp("benchmarks") / "results.json", "subactors,asyncio", "start", "stream")


@pytest.mark.slow
def test_each_contender_is_measured(tmp_path: Path) -> None:
    results = measured(tmp_path / "results.json", "floor,subactors,forkserver,asyncio", "start")
    starts = {each["contender"] for each in results["measurements"] if each["metric"] == "start"}

    assert starts == {"floor", "subactors", "forkserver", "asyncio"}


def test_a_measurement_has_median_spread_and_count(results: dict[str, Any]) -> None:
    start = next(each for each in results["measurements"] if each["metric"] == "start")

    assert start["count"] == len(start["rounds"]) * 2
    assert 0 < start["least"] <= start["p50"] <= start["p95"] <= start["most"]
    assert start["unit"] == "s"


def test_what_a_contender_does_not_offer_is_skipped_with_a_word(results: dict[str, Any]) -> None:
    assert {"scenario": "stream", "contender": "asyncio", "why": "output crosses no boundary"} in results["skipped"]


def test_results_name_machine_versions_and_command(results: dict[str, Any]) -> None:
    assert results["machine"]["cores"] > 0
    assert results["versions"]["python"] == sys.version.split()[0]
    assert results["command"].startswith("python -m benchmarks")


def status_of_check(folder: Path, **medians: dict[str, float]) -> int:
    """Have a run checked of which a metric's median is given for each contender; returns the exit status."""
    lists: dict[str, Any] = {"isolation": [], "left_behind": [], "skipped": []}
    measurements = [
        {
            "scenario": metric,
            "contender": contender,
            "metric": metric,
            "tasks": 0,
            "unit": "s",
            "count": 1,
            "spread": 0.0,
            "rounds": [median],
            **dict.fromkeys(["p50", "p95", "p99", "least", "most"], median),
        }
        for metric, contenders in medians.items()
        for contender, median in contenders.items()
    ]
    path = folder / "results.json"
    path.write_text(json.dumps({"measurements": measurements, "partial": True, **lists}))
    done = run_in_root("-m", "benchmarks.report", str(path), "--check")
    assert not done.stderr
    return done.returncode


@pytest.mark.parametrize(("stop", "status"), [(0.001, 0), (1.0, 1)])
def test_a_missed_target_is_an_exit_status(tmp_path: Path, stop: float, status: int) -> None:
    assert status_of_check(tmp_path, stop={"subactors": stop}) == status


@pytest.mark.parametrize(("crash", "status"), [(0.0041, 0), (0.0043, 1)])
def test_a_crash_may_be_known_as_long_after_the_floor_as_where_the_bound_was_set(
    tmp_path: Path, crash: float, status: int
) -> None:
    assert status_of_check(tmp_path, crash={"floor": 0.002, "subactors": crash}) == status


def test_the_report_has_targets_and_scenarios(results: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))

    done = run_in_root("-m", "benchmarks.report", str(path), "--folder", str(tmp_path))

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "RESULTS.md").read_text()
    assert "## Which targets are met?" in page
    question = "## How long until the first message of a task's code, a tenth of a second after the last?"
    assert f"{question}\n\n|  | p50 | p95 |" in page
    assert json.loads((tmp_path / "results.json").read_text()) == results


def test_a_full_run_says_of_a_question_that_it_has_not_been_asked(results: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**results, "partial": False}))

    run_in_root("-m", "benchmarks.report", str(path), "--folder", str(tmp_path))

    page = (tmp_path / "RESULTS.md").read_text()
    assert "without any rest?\n\nNot measured in this run" in page


MANY_TASKS: dict[str, set[str]] = {
    "back-to-back": {"start, back to back"},
    "map": {"map, a process for each item", "map, in chunks of 50"},
    "submit": {"run returns, in turn", "submit returns", "submit of a closure returns"},
    "awaits": {
        "memory of a pending await",
        "threads of pending awaits",
        "an end reaches a wait",
        "an end reaches an await",
    },
    "fan-out-without-rest": {"fan-out without rest"},
    "run-returns-without-rest": {"run returns, without rest"},
    "list": {"list, a tenth of them running"},
}
"""Scenarios and what each measures."""


@pytest.fixture(scope="module")
def many_tasks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What one run of the scenarios has measured."""
    results = measured(tmp_path_factory.mktemp("many") / "results.json", "subactors", *MANY_TASKS)
    found: list[dict[str, Any]] = results["measurements"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "metrics"), MANY_TASKS.items())
def test_a_scenario_of_programs_with_many_tasks_runs(
    many_tasks: list[dict[str, Any]], scenario: str, metrics: set[str]
) -> None:
    assert {each["metric"] for each in many_tasks if each["scenario"] == scenario} == metrics


def test_the_page_that_is_kept_is_of_the_results_that_are_kept() -> None:
    program = """
from pathlib import Path
from benchmarks.report import page
from benchmarks.results import Results
kept = Path("benchmarks/RESULTS.md").read_text()
pictures = [path.stem for path in Path("benchmarks/pictures").iterdir() if f"({path.parent.name}/{path.name})" in kept]
made = page(Results.load(Path("benchmarks/results.json")), sorted(pictures, key=kept.index))
print(made == kept)
"""

    done = run_in_root("-c", program)

    assert done.stdout.strip() == "True", done.stderr


def test_the_phases_of_a_start_are_told() -> None:
    done = run_in_root("-m", "benchmarks.phases", "--tasks", "2")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 tasks\n")
    assert "until the task's work" in done.stdout


def test_what_a_host_leaves_behind_is_found_and_ended() -> None:
    program = """
import os, subprocess, sys
from benchmarks.processes import MARK, end_all, marked
own = os.environ[MARK] = os.urandom(8).hex()
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
found = marked(own)
end_all(found)
print([process.pid for process in found] == [left.pid], left.wait(), marked(own))
"""

    done = run_in_root("-c", program)

    assert done.stdout.strip() == "True -9 []", done.stderr


def test_an_unknown_contender_is_an_error_that_names_those_there_are() -> None:
    done = run_in_root("-m", "benchmarks", "--peers", "nobody")

    assert done.returncode == 2
    assert "no contender nobody; there are floor, subactors" in done.stderr


def test_the_help_names_each_scenario() -> None:
    listed = run_in_root("-c", "from benchmarks.scenarios import SCENARIOS; print(*SCENARIOS)")
    done = run_in_root("-m", "benchmarks", "--help")

    shown = re.sub(r"-\s+", "-", done.stdout)  # names are broken at their hyphens
    assert "start" in shown
    assert [name for name in listed.stdout.split() if name not in shown] == []


def test_a_run_of_one_scenario_prints_its_own_targets_alone() -> None:
    done = run_in_root("-m", "benchmarks", "--smoke", "--peers", "subactors", "--only", "stop")

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines
    assert {line.partition("  ")[0] for line in lines} <= {"met", "missed"}
    assert [line for line in lines if "stop" not in line] == []


def test_what_was_not_measured_is_counted_as_neither_met_nor_missed(results: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))

    run_in_root("-m", "benchmarks.report", str(path), "--folder", str(tmp_path))

    page = (tmp_path / "RESULTS.md").read_text()
    rows = [line.split(" | ")[-1].strip("* |") for line in page.splitlines() if line.count(" | ") == 3]
    met, missed, unknown = (rows.count(mark) for mark in ("met", "missed", "not measured"))
    assert f"## Which targets are met? {met} of {met + missed}; {unknown} not measured" in page


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_runner_that_is_ended_leaves_no_host(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "start", "--peers", "floor"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as runner:
        started = psutil.Process(runner.pid)
        wait_until(started.children, "a host")
        hosts = started.children(recursive=True)
        runner.send_signal(number)

        assert runner.wait(60) == 128 + number
    assert psutil.wait_procs(hosts, timeout=60)[1] == []


def test_an_executor_that_is_measured_is_gone_with_its_processes() -> None:
    program = """
import threading
from benchmarks.contenders.pools import Executor
if __name__ == "__main__":
    for _ in range(6):
        contender = Executor()
        contender.open(4)
        contender.wait_all([contender.start("speak") for _ in range(4)])
        contender.close()
        print(threading.active_count(), flush=True)
"""

    done = run_in_root("-c", program)

    assert done.stdout.split() == ["1"] * 6, done.stderr
