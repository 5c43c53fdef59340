"""The files that an agent's system prompt takes in."""

from __future__ import annotations

from pathlib import Path

import pytest
from subactors.runtime import Runtime
from subactors.runtime.agent.prompt_files import find_prompt_files, prompt_file_paragraphs
from teams import model, run_and_wait


def test_the_nearest_file_upwards_is_taken_and_the_one_in_the_home_folder_before_it(tmp_path: Path) -> None:
    home, inner = tmp_path / "home", tmp_path / "a" / "b"
    home.mkdir()
    inner.mkdir(parents=True)
    for path in (home / "AGENTS.md", tmp_path / "AGENTS.md", tmp_path / "a" / "AGENTS.md"):
        path.write_text(str(path))
    found = find_prompt_files("AGENTS.md", inner, {"HOME": str(home)})
    assert found == [home / "AGENTS.md", tmp_path / "a" / "AGENTS.md"]


def test_a_file_is_put_in_once_and_bounded(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("x" * 500_000)
    names = ["AGENTS.md", str(tmp_path / "AGENTS.md"), "missing.md"]
    (paragraph,) = prompt_file_paragraphs(names, tmp_path, {"HOME": str(tmp_path)})
    assert paragraph.startswith(f'<file path="{tmp_path}/AGENTS.md">\nxxx')
    assert len(paragraph) < 60_000


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    assert prompt_file_paragraphs(["folder", "empty", "no/such"], tmp_path, {}) == []


def test_the_agent_of_a_task_reads_the_files_of_its_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "AGENTS.md").write_text("Say nothing twice.")
    monkeypatch.chdir(tmp_path)
    team = {"agents": {"worker": model("shows_its_conversation", add_prompt_files=["AGENTS.md"])}}
    with Runtime.from_mapping(team) as runtime:
        assert "Say nothing twice." in run_and_wait(runtime, "worker").result
