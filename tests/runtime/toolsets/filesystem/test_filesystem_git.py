"""What git reads its configuration from: the filesystem tools do not write there."""

from __future__ import annotations

from pathlib import Path

import pytest
from filesystem_calls import call, edits, names_in, working_directory
from subactors.runtime.toolsets.base import ToolAnswer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return working_directory(tmp_path)


HEAD = "ref: refs/heads/main\n"

NAMES_OF_GIT = [".git", ".GIT", ".Git", ".git ", ".git.", ".g\u200cit", "git~1", "GIT~1", ".git::$INDEX_ALLOCATION"]


@pytest.mark.parametrize("name", NAMES_OF_GIT)
def test_nothing_is_written_below_a_folder_that_is_git_s(folder: Path, name: str) -> None:
    for path in (name, f"{name}/config", f"sub/{name}/hooks/pre-commit"):
        assert "`allow_git: true`" in call(folder, "write_file", {"path": path, "content": "x"}).text
        assert call(folder, "create_directory", {"paths": [path]}).is_error
    assert names_in(folder) == []


def test_what_is_there_of_git_is_neither_edited_nor_removed(folder: Path) -> None:
    (folder / ".git" / "hooks").mkdir(parents=True)
    (folder / ".git" / "config").write_text("[core]\n")
    assert call(folder, "edit_file", {"path": ".git/config", "edits": edits(("core", "x"))}).is_error
    assert call(folder, "remove_directory", {"paths": [".git/hooks"]}).is_error
    assert (folder / ".git" / "hooks").exists()
    assert call(folder, "read_file", {"path": ".git/config"}).text == "[core]\n"


def test_a_link_is_no_way_to_what_is_git_s(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "link").symlink_to(".git")
    (folder / "dangling").symlink_to(".git/config")
    assert call(folder, "write_file", {"path": "link/config", "content": "x"}).is_error
    assert call(folder, "write_file", {"path": "dangling", "content": "x"}).is_error
    assert names_in(folder / ".git") == []


@pytest.mark.parametrize(
    ("before", "last"),
    [
        ([("create_directory", "x/objects"), ("create_directory", "x/refs/heads")], ("write_file", "x/HEAD")),
        ([("write_file", "x/HEAD"), ("create_directory", "x/objects")], ("create_directory", "x/refs/heads")),
        ([("write_file", "x/HEAD"), ("write_file", "x/refs/heads/main")], ("write_file", "x/objects/info/alternates")),
        ([("write_file", "x/HEAD")], ("write_file", "x/commondir")),
        ([("create_directory", "objects"), ("create_directory", "refs")], ("write_file", "HEAD")),
    ],
)
def test_no_folder_is_made_that_git_would_take_for_a_repository(
    folder: Path, before: list[tuple[str, str]], last: tuple[str, str]
) -> None:
    def done(tool: str, path: str) -> ToolAnswer:
        arguments: dict[str, object] = {"path": path, "content": HEAD} if tool == "write_file" else {"paths": [path]}
        return call(folder, tool, arguments)

    for step in before:
        assert not done(*step).is_error
    assert "in a folder that git takes for a repository" in done(*last).text


def test_a_repository_of_any_name_is_left_alone(folder: Path) -> None:
    store = folder.parent / "outside" / "store.git"
    for name in ("objects/info", "refs/heads", "hooks"):
        (store / name).mkdir(parents=True)
    (store / "HEAD").write_text(HEAD)
    path = "../outside/store.git/hooks/post-update"
    assert call(folder, "write_file", {"path": path, "content": "x"}, allow=["../outside"]).is_error
    assert call(folder, "remove_directory", {"paths": [str(store / "hooks")]}, allow=["../outside"]).is_error
    assert names_in(store / "hooks") == []


def test_names_that_only_resemble_git_s_are_written(folder: Path) -> None:
    for name in (
        ".github/workflows/a.yml",
        ".gitignore",
        ".gitattributes",
        "git/x",
        "a.git",
        "refs/x",
        "HEAD",
        ".gitx",
    ):
        assert not call(folder, "write_file", {"path": name, "content": "x"}).is_error, name


def test_the_team_file_can_allow_changes_of_what_is_git_s(folder: Path) -> None:
    answer = call(folder, "write_file", {"path": ".git/config", "content": "x"}, allow_git=True)
    assert not answer.is_error
    assert (folder / ".git" / "config").read_text() == "x"
