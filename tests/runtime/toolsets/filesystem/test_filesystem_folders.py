"""Folders in the filesystem tools: listed, shown as trees, made and removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from filesystem_calls import call, names_in, working_directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return working_directory(tmp_path)


def test_a_folder_is_listed_by_name_with_kinds_and_sizes(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "a.txt").write_text("x" * 1_234)
    (folder / "link").symlink_to("a.txt")
    os.mkfifo(folder / "pipe")
    answer = call(folder, "list_directory", {})
    assert answer.text.splitlines() == ["FILE a.txt (1,234 bytes)", "LINK link -> a.txt", "OTHER pipe", "DIR  sub"]
    assert answer.data == [
        {"name": "a.txt", "type": "file", "size": 1_234, "target": ""},
        {"name": "link", "type": "link", "size": 0, "target": "a.txt"},
        {"name": "pipe", "type": "other", "size": 0, "target": ""},
        {"name": "sub", "type": "directory", "size": 0, "target": ""},
    ]


def test_an_empty_folder_is_said_to_be_empty(folder: Path) -> None:
    assert call(folder, "list_directory", {}).text == ". is empty."


def test_of_a_large_folder_the_first_entries_are_listed_and_the_rest_counted(folder: Path) -> None:
    for number in range(600):
        (folder / f"{number:03}").touch()
    answer = call(folder, "list_directory", {})
    assert answer.text.splitlines()[499] == "FILE 499 (0 bytes)"
    assert answer.text.endswith("[100 of 600 entries left out here.]")
    assert len(answer.data) == 500


def test_a_name_that_is_no_text_can_still_be_listed(folder: Path) -> None:
    os.close(os.open(os.fsencode(folder) + b"/a\xff\nFILE b", os.O_CREAT))
    for name in ("list_directory", "directory_tree"):
        answer = call(folder, name, {})
        assert "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}FILE b" in answer.text
        json.dumps(answer.data, ensure_ascii=False).encode()


def test_a_file_cannot_be_listed(folder: Path) -> None:
    (folder / "a").touch()
    answer = call(folder, "list_directory", {"path": "a"})
    assert answer.is_error
    assert "not a folder" in answer.text


def test_a_tree_is_answered_as_json(folder: Path) -> None:
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "a.txt").touch()
    (folder / "loop").symlink_to(".")
    (folder / ".git" / "objects").mkdir(parents=True)
    answer = call(folder, "directory_tree", {})
    assert json.loads(answer.text) == answer.data
    assert answer.data == {
        "name": ".",
        "type": "directory",
        "children": [
            {"name": ".git", "type": "directory", "unopened": True},
            {"name": "loop", "type": "link"},
            {
                "name": "sub",
                "type": "directory",
                "children": [{"name": "a.txt", "type": "file"}, {"name": "deep", "type": "directory", "children": []}],
            },
        ],
    }


def test_a_tree_ends_at_the_depth_that_was_asked_for(folder: Path) -> None:
    (folder / "one" / "two" / "three").mkdir(parents=True)
    answer = call(folder, "directory_tree", {"path": "one", "max_depth": 1})
    assert answer.data["children"] == [{"name": "two", "type": "directory", "unopened": True}]


def test_a_tree_too_large_for_an_answer_is_still_json_and_says_what_is_missing(folder: Path) -> None:
    for number in range(30):
        (folder / f"folder {number:02}").mkdir()
        for file in range(50):
            (folder / f"folder {number:02}" / f"file {file}").touch()
    answer = call(folder, "directory_tree", {}, limit=6_000)
    tree = json.loads(answer.text)
    assert len(answer.text) <= 6_000
    assert len(tree["children"]) == 30
    assert any("omitted" in child for child in tree["children"])
    assert tree["children"][-1]["unopened"]


def test_folders_are_made_with_those_above_them(folder: Path) -> None:
    answer = call(folder, "create_directory", {"paths": ["a/b/c", "d", "a"]})
    assert not answer.is_error
    assert (folder / "a/b/c").is_dir()
    assert answer.text.splitlines() == ["Made a/b/c.", "Made d.", "a exists already."]


def test_a_folder_in_the_place_of_a_file_is_an_error_and_the_others_are_made(folder: Path) -> None:
    (folder / "file").touch()
    answer = call(folder, "create_directory", {"paths": ["file", "d"]})
    assert answer.is_error
    assert (folder / "d").is_dir()
    assert [entry["ok"] for entry in answer.data] == [False, True]


def test_only_empty_folders_are_removed(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "a").touch()
    (folder / "file").touch()
    answer = call(folder, "remove_directory", {"paths": ["empty", "full", "file", "missing", "."]})
    assert answer.is_error
    assert [entry["ok"] for entry in answer.data] == [True, False, False, False, False]
    assert "full is not empty (entries: 1)" in answer.text
    assert names_in(folder) == ["file", "full"]
