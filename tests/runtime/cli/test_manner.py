"""Options of every command: how much a command that runs tasks says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import subactors, write_team


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_team(tmp_path_factory.mktemp("team"))


def test_a_quiet_run_prints_its_answer_alone(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "--quiet", "life")

    assert (done.returncode, done.stdout, done.stderr) == (0, "The answer to life\n", "")


def test_a_quiet_run_says_why_it_failed(folder: Path) -> None:
    done = subactors(folder, "-q", "run", "team.yaml", "-a", "failing", "x")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("failing: RuntimeError: no luck\n")


def test_a_verbose_run_tells_what_happens_with_times(folder: Path) -> None:
    done = subactors(folder, "run", "team.yaml", "-v", "life")
    told = [line for line in done.stderr.splitlines() if re.match(r"\d\d:\d\d:\d\d\.\d{3}Z ", line)]
    said = [re.sub(r"agent_task_\w+", "ID", line[14:]) for line in told]
    texts = [text for text in said if not text.startswith(("The team file ", "The journal "))]

    assert (done.returncode, done.stdout) == (0, "The answer to life\n")
    assert re.match(
        r"Host: process \d+, run .*/run_\w+, team team\.yaml, room for 20 tasks and 1000 queued ones", texts[0]
    )
    assert texts[1] == "ID root: started: life"
    assert 'ID: calls run_background_agent {"agent": "greeter", "task": "hello"}' in texts
    assert "ID greeter: started by ID: hello" in texts
    assert "ID: says: greeting" in texts
    assert any(text.startswith("ID greeter: completed after ") for text in texts)
    assert " root: completed after " in done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def ended(folder: Path) -> str:
    subactors(folder, "run", "team.yaml", "-q", "-a", "greeter", "x")
    (task,) = subactors(folder, "ps", "--all", "-q", "--agent", "greeter", "-n", "1").stdout.split()
    return task


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("view ID", "The journal of run_"),
        ("check team.yaml", "The team file team.yaml is read. Problems: 0."),
        ("init new -v", "http://localhost:11434/v1 "),
        *(
            pytest.param(line, "The journal of run_", marks=pytest.mark.slow)
            for line in ("runs", "wait ID", "logs ID", "stop ID", "tell ID x", "prune --older-than 0")
        ),
        pytest.param("doctor", "Looked at platform.", marks=pytest.mark.slow),
        pytest.param(
            "bench --function math:factorial --tasks 1 --repeat 1 --against none 9",
            "Measuring 1 at once, 1 of 1: subactors.",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_verbose_command_tells_whom_it_asks_and_what_it_reads(folder: Path, ended: str, line: str, told: str) -> None:
    done = subactors(folder, *line.replace("ID", ended).split(), "-v")

    assert re.search(rf"(?m)^\d\d:\d\d:\d\d\.\d{{3}}Z {re.escape(told)}", done.stderr), done.stderr


@pytest.mark.parametrize("line", ["init quiet", "check team.yaml"])
def test_a_quiet_command_that_works_prints_nothing(folder: Path, line: str) -> None:
    done = subactors(folder, *line.split(), "-q")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_prompt_that_begins_with_a_dash_stands_behind_two(folder: Path) -> None:
    done = subactors(folder, "run", "-q", "-a", "greeter", "team.yaml", "--", "--all")

    assert done.stdout == "Hello, --all!\n"
