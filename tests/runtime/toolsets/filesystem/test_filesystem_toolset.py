"""What the filesystem tools may reach: nothing outside the folders that are allowed, whatever leads there."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from filesystem_calls import call, edits, working_directory
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.filesystem.folders import AllowedFolders, opened_file, opened_folder
from subactors.runtime.toolsets.filesystem.toolset import FilesystemToolset

WRITING = {"write_file", "edit_file", "create_directory", "remove_directory"}

READING = {"read_file", "read_multiple_files", "list_directory", "directory_tree", "search_files_content"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return working_directory(tmp_path)


@pytest.mark.parametrize(
    "path", ["../outside/secret", "/etc/passwd", "sub/../../outside/secret", "link", "linked/secret"]
)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read_file", {}),
        ("write_file", {"content": "x"}),
        ("edit_file", {"edits": edits(("secret", "x"))}),
        ("list_directory", {}),
        ("directory_tree", {}),
        ("search_files_content", {"query": "secret"}),
    ],
)
def test_a_path_that_leads_outside_is_refused_with_what_is_allowed(
    folder: Path, path: str, name: str, arguments: dict[str, object]
) -> None:
    (folder / "link").symlink_to("../outside/secret")
    (folder / "linked").symlink_to(folder.parent / "outside")
    answer = call(folder, name, {"path": path, **arguments})
    assert answer.is_error
    assert "outside the folders that may be used" in answer.text
    assert str(folder) in answer.text
    assert (folder.parent / "outside" / "secret").read_text() == "secret\n"


@pytest.mark.parametrize("name", ["create_directory", "remove_directory"])
def test_folders_outside_are_neither_made_nor_removed(folder: Path, name: str) -> None:
    (folder / "linked").symlink_to(folder.parent)
    (folder.parent / "empty").mkdir()
    answer = call(folder, name, {"paths": ["../empty", "../new", "linked/empty", "linked/new"]})
    assert answer.is_error
    assert answer.text.count("outside the folders that may be used") == 4
    assert (folder.parent / "empty").is_dir()
    assert not (folder.parent / "new").exists()


def test_a_dangling_link_is_no_way_to_make_a_file_outside(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "new")
    assert call(folder, "write_file", {"path": "link", "content": "x"}).is_error
    assert not (folder.parent / "new").exists()


def test_links_and_dots_that_stay_inside_are_followed(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_text("one\n")
    (folder / "link").symlink_to("sub/a.txt")
    assert call(folder, "read_file", {"path": "link"}).text == "one\n"
    assert call(folder, "read_file", {"path": "sub/../sub/a.txt"}).text == "one\n"
    assert call(folder, "read_file", {"path": str(folder / "sub" / "a.txt")}).data["path"] == "sub/a.txt"


def test_a_working_directory_that_is_reached_through_a_link_is_as_good(folder: Path) -> None:
    (folder / "a.txt").write_text("one\n")
    (folder.parent / "alias").symlink_to(folder)
    alias = folder.parent / "alias"
    assert call(alias, "read_file", {"path": str(alias / "a.txt")}).text == "one\n"


def test_allowed_folders_may_be_used_too(folder: Path) -> None:
    outside = folder.parent / "outside"
    for allow in (str(outside), "../outside"):
        answer = call(folder, "read_file", {"path": "../outside/secret"}, allow=[allow])
        assert answer.text == "secret\n"
        assert answer.data["path"] == str(outside / "secret")
    assert call(folder, "read_file", {"path": "/etc/passwd"}, allow=["../outside"]).is_error


def test_a_link_that_is_put_in_place_after_the_check_is_not_followed(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "secret").write_text("harmless")
    folders = AllowedFolders(folder, ())
    file, below = folders.place("sub/secret"), folders.place("sub")
    (folder / "sub").rename(folder / "moved")
    (folder / "sub").symlink_to(folder.parent / "outside")
    with pytest.raises(OSError, match="Not a directory"), opened_file(file):
        pass
    with pytest.raises(OSError, match="Not a directory"), opened_folder(below):
        pass


def test_a_circle_of_links_is_an_error(folder: Path) -> None:
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    for name in ("read_file", "list_directory"):
        assert call(folder, name, {"path": "one"}).is_error
    assert call(folder, "write_file", {"path": "one/x", "content": "x"}).is_error


@pytest.mark.parametrize("path", ["", "  ", "a\0b", "a\ud800b"])
def test_what_is_no_path_is_an_error(folder: Path, path: str) -> None:
    answer = call(folder, "read_file", {"path": path})
    assert answer.is_error
    answer.text.encode()


def test_a_working_directory_that_does_not_exist_is_named(folder: Path) -> None:
    answer = call(folder / "gone", "list_directory", {})
    assert answer.is_error
    assert str(folder / "gone") in answer.text


def test_a_read_only_toolset_does_not_offer_to_write(folder: Path) -> None:
    def names(*, readonly: bool) -> set[str]:
        box = ToolBox([FilesystemToolset(working_directory=folder, readonly=readonly)])
        return {schema["function"]["name"] for schema in box.schemas}

    assert names(readonly=False) == READING | WRITING
    assert names(readonly=True) == READING
    assert call(folder, "write_file", {"path": "a", "content": "x"}, readonly=True).is_error
    assert not (folder / "a").exists()


def test_the_model_is_told_which_folders_there_are(folder: Path) -> None:
    toolset = FilesystemToolset(working_directory=folder, allow=["../outside"], readonly=True)
    assert str(folder) in toolset.instruction
    assert str(folder.parent / "outside") in toolset.instruction
    assert "Nothing can be changed" in toolset.instruction


def test_calls_leave_no_descriptor_behind(folder: Path) -> None:
    (folder / "a.txt").write_text("one\n")
    calls: list[tuple[str, dict[str, object]]] = [
        ("read_file", {"path": "a.txt"}),
        ("read_file", {"path": "missing/x"}),
        ("read_file", {"path": "a.txt/x"}),
        ("write_file", {"path": "a.txt", "content": "two\n"}),
        ("write_file", {"path": "a.txt/x", "content": "two\n"}),
        ("edit_file", {"path": "a.txt", "edits": edits(("two", "one"))}),
        ("edit_file", {"path": "a.txt", "edits": edits(("two", "one"))}),
        ("list_directory", {}),
        ("directory_tree", {}),
        ("create_directory", {"paths": ["sub", "a.txt"]}),
        ("remove_directory", {"paths": ["sub", "a.txt"]}),
        ("search_files_content", {"query": "one"}),
        ("search_files_content", {"query": "(", "is_regex": True}),
    ]
    for name, arguments in calls[-2:]:
        call(folder, name, arguments)
    before = psutil.Process().num_fds()
    for name, arguments in calls:
        call(folder, name, arguments)
    assert psutil.Process().num_fds() == before
