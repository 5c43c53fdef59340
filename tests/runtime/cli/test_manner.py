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
    texts = [re.sub(r"agent_task_\w+", "ID", line[14:]) for line in told]

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


def test_a_prompt_that_begins_with_a_dash_stands_behind_two(folder: Path) -> None:
    done = subactors(folder, "run", "-q", "-a", "greeter", "team.yaml", "--", "--all")

    assert done.stdout == "Hello, --all!\n"
