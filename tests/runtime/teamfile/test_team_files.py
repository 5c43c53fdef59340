"""The collection of team files in `team_files`: what each of them says of itself holds.

A valid one begins with the keys that are accepted and without effect (`# ignored: path, path`), and may say what a
task comes to (`# run: agent | task | part of the result`). A wrong one begins with its problems, all of them, in the
order of the file (`# path | part of the message`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from subactors.runtime import Runtime
from subactors.runtime.teamfile.load import check_team
from teams import run_and_wait

FILES = Path(__file__).parents[2] / "team_files"
VALID = sorted((FILES / "valid").glob("*.yaml"))
WRONG = sorted((FILES / "wrong").glob("*.yaml"))


def comments(path: Path, title: str = "") -> list[str]:
    lines = [line.removeprefix("#").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    return [line.removeprefix(title).strip() for line in lines if line.startswith(title)]


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_file_is_accepted_with_the_keys_without_effect_that_it_names(path: Path) -> None:
    team, problems = check_team(path)
    assert [str(problem) for problem in problems] == []
    assert team is not None
    (ignored,) = comments(path, "ignored:")
    assert list(team.ignored) == [key.strip() for key in ignored.split(",") if key.strip()]


@pytest.mark.parametrize("path", [path for path in VALID if comments(path, "run:")], ids=lambda path: path.stem)
def test_a_valid_file_that_says_so_runs(path: Path) -> None:
    with Runtime.from_file(path, standby=0) as runtime:
        for line in comments(path, "run:"):
            agent, task, result = (part.strip() for part in line.split(" | "))
            view = run_and_wait(runtime, agent, task)
            assert view.status == "completed", view.reason
            assert result in view.result


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_wrong_file_is_refused_with_its_problems_and_no_others(path: Path) -> None:
    team, problems = check_team(path)
    assert team is None
    expected = [tuple(part.strip() for part in line.split("|")) for line in comments(path)]
    found = [(problem.path, f"{problem.message} {problem.remedy}".strip()) for problem in problems]
    assert [place for place, _ in found] == [place for place, _ in expected], found
    for (_, text), (_, part) in zip(found, expected, strict=True):
        assert part in text
    assert all(problem.line for problem in problems)


def test_an_instruction_may_take_in_the_one_that_it_replaces() -> None:
    path = FILES / "valid" / "docker_memory_and_scripts.yaml"
    with Runtime.from_file(path, standby=0) as runtime, runtime.toolset("root") as toolset:
        assert toolset.instructions.startswith("Look here first. ## Memory\n\nWhat you learn")
