"""Writing and editing files with the filesystem tools: all of a change or nothing of it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest
from filesystem_calls import call, edits, names_in, working_directory
from subactors.runtime.toolsets.base import ToolAnswer, ToolBox
from subactors.runtime.toolsets.filesystem.toolset import FilesystemToolset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return working_directory(tmp_path)


def test_a_new_file_is_written_with_the_folders_above_it(folder: Path) -> None:
    answer = call(folder, "write_file", {"path": "a/b/c.txt", "content": "über\r\n"})
    assert not answer.is_error
    assert (folder / "a/b/c.txt").read_bytes() == "über\r\n".encode()
    assert answer.data == {"path": "a/b/c.txt", "bytes": 7, "created": True}


def test_a_file_that_is_replaced_keeps_its_mode_and_leaves_nothing_beside_it(folder: Path) -> None:
    (folder / "run").write_text("old")
    (folder / "run").chmod(0o750)
    answer = call(folder, "write_file", {"path": "run", "content": "new"})
    assert not answer.data["created"]
    assert (folder / "run").read_text() == "new"
    assert stat.S_IMODE((folder / "run").stat().st_mode) == 0o750
    assert names_in(folder) == ["run"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every file")
def test_a_file_that_must_not_be_written_to_is_not_replaced_either(folder: Path) -> None:
    (folder / "a").write_text("old")
    (folder / "a").chmod(0o444)
    for name, arguments in (("write_file", {"content": "new"}), ("edit_file", {"edits": edits(("old", "new"))})):
        answer = call(folder, name, {"path": "a", **arguments})
        assert answer.is_error
        assert answer.text == "a is read-only."
    assert (folder / "a").read_text() == "old"


def test_writing_through_a_link_that_stays_inside_keeps_the_link(folder: Path) -> None:
    (folder / "real").write_text("old")
    (folder / "link").symlink_to("real")
    call(folder, "write_file", {"path": "link", "content": "new"})
    assert (folder / "link").is_symlink()
    assert (folder / "real").read_text() == "new"


def test_folders_and_pipes_are_not_written_to(folder: Path) -> None:
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    for path in ("sub", "pipe", "."):
        assert call(folder, "write_file", {"path": path, "content": "x"}).is_error
    assert names_in(folder) == ["pipe", "sub"]


def test_a_file_below_a_file_is_an_error(folder: Path) -> None:
    (folder / "a").write_text("x")
    answer = call(folder, "write_file", {"path": "a/b", "content": "x"})
    assert answer.is_error
    assert "not a folder" in answer.text


def test_content_that_no_file_can_hold_is_an_error_and_writes_nothing(folder: Path) -> None:
    answer = call(folder, "write_file", {"path": "a", "content": "x\ud800"})
    assert answer.is_error
    assert names_in(folder) == []


def test_edits_are_made_one_after_the_other(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"one\r\ntwo\nthree\n")
    answer = call(folder, "edit_file", {"path": "a.txt", "edits": edits(("two", "2"), ("2\nthree", "2\n3"))})
    assert not answer.is_error
    assert (folder / "a.txt").read_bytes() == b"one\r\n2\n3\n"
    assert answer.data == {"path": "a.txt", "lines": [2, 2]}


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        ("four", "does not occur"),
        ("o", "more than once, first in lines 1 and 2"),
        ("", "oldText is empty"),
        ("one\ntwo", r"write \r\n"),
    ],
)
def test_if_one_edit_cannot_be_made_none_is(folder: Path, failing: str, reason: str) -> None:
    (folder / "a.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    answer = call(folder, "edit_file", {"path": "a.txt", "edits": edits(("three", "3"), (failing, "x"))})
    assert answer.is_error
    assert "Edit 2" in answer.text
    assert reason in answer.text
    assert (folder / "a.txt").read_bytes() == b"one\r\ntwo\r\nthree\r\n"


def test_text_that_overlaps_itself_occurs_more_than_once(folder: Path) -> None:
    (folder / "a.txt").write_text("aaa")
    assert call(folder, "edit_file", {"path": "a.txt", "edits": edits(("aa", "b"))}).is_error


@pytest.mark.parametrize("content", ["café, two".encode("latin-1"), b"two\0"], ids=["latin-1", "binary"])
def test_a_file_that_is_not_exactly_text_is_not_edited(folder: Path, content: bytes) -> None:
    (folder / "a").write_bytes(content)
    assert call(folder, "edit_file", {"path": "a", "edits": edits(("two", "2"))}).is_error
    assert (folder / "a").read_bytes() == content


def test_a_file_that_does_not_exist_is_not_edited(folder: Path) -> None:
    answer = call(folder, "edit_file", {"path": "a", "edits": edits(("two", "2"))})
    assert answer.text == "a does not exist."


def test_edits_of_one_turn_do_not_undo_each_other(folder: Path) -> None:
    words = [f"<{number}>" for number in range(40)]
    (folder / "a.txt").write_text(" ".join(words))
    box = ToolBox([FilesystemToolset(working_directory=folder)])

    async def scenario() -> list[ToolAnswer]:
        return await asyncio.gather(
            *(
                box.call("edit_file", json.dumps({"path": "a.txt", "edits": edits((word, word.strip("<>")))}))
                for word in words
            )
        )

    assert not any(answer.is_error for answer in asyncio.run(scenario()))
    assert (folder / "a.txt").read_text() == " ".join(word.strip("<>") for word in words)


def test_an_edit_with_unknown_keys_is_an_error(folder: Path) -> None:
    answer = call(folder, "edit_file", {"path": "a", "edits": [{"old_text": "a", "new_text": "b"}]})
    assert answer.is_error
    assert "old_text" in answer.text
