"""The filesystem tools on real files: what they answer, what they refuse, and that nothing outside is reached."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import psutil
import pytest
from subactors.runtime._tools import ToolAnswer, ToolBox
from subactors.runtime.toolsets._filesystem import FilesystemToolset
from subactors.runtime.toolsets._folders import AllowedFolders, opened_file, opened_folder

WRITING = {"write_file", "edit_file", "create_directory", "remove_directory"}
READING = {"read_file", "read_multiple_files", "list_directory", "directory_tree", "search_files_content"}
CATASTROPHIC = "(a+)+$"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working directory, with something outside beside it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret\n")
    working_directory = tmp_path / "inside"
    working_directory.mkdir()
    return working_directory


def call(folder: Path, name: str, arguments: dict[str, object], **options: Any) -> ToolAnswer:
    box = ToolBox([FilesystemToolset(working_directory=folder, **options)])
    return asyncio.run(box.call(name, json.dumps(arguments)))


def edits(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"oldText": old, "newText": new} for old, new in pairs]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Reading


def test_a_file_is_answered_as_it_is(folder: Path) -> None:
    (folder / "a.txt").write_text("one\r\ntwo\n")
    answer = call(folder, "read_file", {"path": "a.txt"})
    assert answer.text == (folder / "a.txt").read_bytes().decode()
    assert answer.data == {
        "path": "a.txt",
        "content": answer.text,
        "lines": 2,
        "first_line": 1,
        "last_line": 2,
        "exact": True,
    }


@pytest.mark.parametrize(
    ("offset", "limit", "content"),
    [(2, 2, "two\nthree\n"), (3, 10, "three\nfour"), (4, 1, "four"), (1, 1, "one\n")],
)
def test_some_lines_of_a_file_are_answered_with_where_they_are(
    folder: Path, offset: int, limit: int, content: str
) -> None:
    (folder / "a.txt").write_text("one\ntwo\nthree\nfour")
    answer = call(folder, "read_file", {"path": "a.txt", "offset": offset, "limit": limit})
    assert answer.data["content"] == content
    assert answer.text.startswith(content)
    assert "of 4.]" in answer.text


def test_lines_far_into_a_large_file_are_found(folder: Path) -> None:
    (folder / "a.txt").write_text("".join(f"line {number}\n" for number in range(1, 200_001)))
    answer = call(folder, "read_file", {"path": "a.txt", "offset": 150_000, "limit": 2})
    assert answer.data["content"] == "line 150000\nline 150001\n"
    assert answer.data["lines"] == 200_000


def test_of_a_long_file_the_head_and_the_tail_are_answered_and_how_to_read_on(folder: Path) -> None:
    (folder / "a.txt").write_text("".join(f"line {number}\n" for number in range(1, 100_001)))
    answer = call(folder, "read_file", {"path": "a.txt"}, limit=3_000)
    assert len(answer.text) <= 3_000
    assert answer.text.startswith("line 1\nline 2\n")
    assert answer.text.endswith("line 99999\nline 100000\n")
    shown = [int(line.split()[1]) for line in answer.text.splitlines() if line.startswith("line ")]
    first_missing = next(number for number, line in enumerate(shown, 1) if number != line)
    last_missing = shown[first_missing - 1] - 1
    assert f"[Lines {first_missing:,} to {last_missing:,} left out here; read on with offset={first_missing}.]" in (
        answer.text
    )


def test_of_one_very_long_line_the_head_and_the_tail_are_answered(folder: Path) -> None:
    (folder / "a.txt").write_text("begin" + "x" * 100_000 + "end")
    answer = call(folder, "read_file", {"path": "a.txt"}, limit=2_000)
    assert answer.text.startswith("begin")
    assert answer.text.endswith("end")
    assert "bytes left out here" in answer.text


def test_a_line_past_the_end_is_an_error_that_says_how_many_there_are(folder: Path) -> None:
    (folder / "a.txt").write_text("one\ntwo\n")
    answer = call(folder, "read_file", {"path": "a.txt", "offset": 3})
    assert answer.is_error
    assert "2 lines" in answer.text


@pytest.mark.parametrize("arguments", [{"offset": 0}, {"limit": 0}, {"offset": "2"}])
def test_lines_that_make_no_sense_are_an_error(folder: Path, arguments: dict[str, object]) -> None:
    (folder / "a.txt").write_text("one\n")
    assert call(folder, "read_file", {"path": "a.txt", **arguments}).is_error


def test_an_empty_file_is_said_to_be_empty(folder: Path) -> None:
    (folder / "a.txt").touch()
    answer = call(folder, "read_file", {"path": "a.txt"})
    assert not answer.is_error
    assert "empty" in answer.text
    assert answer.data["content"] == ""


@pytest.mark.parametrize("content", [b"\x7fELF\0\0", b"x" * 300_000 + b"\0"], ids=["at once", "at the end"])
def test_a_binary_file_is_named_with_its_size_and_not_shown(folder: Path, content: bytes) -> None:
    (folder / "a.bin").write_bytes(content)
    answer = call(folder, "read_file", {"path": "a.bin"})
    assert answer.is_error
    assert f"binary file of {len(content):,} bytes" in answer.text


def test_what_is_no_utf_8_is_replaced_and_said_so(folder: Path) -> None:
    (folder / "a.txt").write_bytes("café\n".encode("latin-1"))
    answer = call(folder, "read_file", {"path": "a.txt"})
    assert answer.text.startswith("caf\N{REPLACEMENT CHARACTER}\n")
    assert "Not valid UTF-8" in answer.text
    assert not answer.data["exact"]


def test_a_missing_file_is_an_error_that_names_it(folder: Path) -> None:
    answer = call(folder, "read_file", {"path": "nowhere.txt"})
    assert answer.is_error
    assert answer.text == "nowhere.txt does not exist."


def test_a_folder_is_no_file_to_read(folder: Path) -> None:
    answer = call(folder, "read_file", {"path": "."})
    assert answer.is_error
    assert "is a folder" in answer.text


def test_pipes_devices_and_sockets_are_refused_without_waiting_for_them(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "null").symlink_to(os.devnull)
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path must be short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        for name in ("pipe", "socket", "null"):
            answer = call(folder, "read_file", {"path": name}, allow=["/dev"])
            assert answer.is_error
            assert "device, pipe or socket" in answer.text


def test_several_files_are_read_at_once_and_one_that_fails_hinders_none(folder: Path) -> None:
    (folder / "a.txt").write_text("one\n")
    (folder / "b.txt").write_text("two\n")
    answer = call(folder, "read_multiple_files", {"paths": ["a.txt", "missing", "b.txt"]})
    assert not answer.is_error
    assert (
        answer.text == "=== a.txt ===\none\n\n\n=== missing ===\nError: missing does not exist.\n\n=== b.txt ===\ntwo\n"
    )
    assert [entry.get("content") for entry in answer.data] == ["one\n", None, "two\n"]


def test_several_long_files_share_the_room_there_is(folder: Path) -> None:
    (folder / "short").write_text("short\n")
    for name in ("long", "longer"):
        (folder / name).write_text(f"{name}\n" * 10_000)
    answer = call(folder, "read_multiple_files", {"paths": ["short", "long", "longer"]}, limit=9_000)
    assert len(answer.text) <= 9_000
    assert min(len(entry["content"]) for entry in answer.data[1:]) > 3_000


def test_if_no_file_can_be_read_that_is_an_error(folder: Path) -> None:
    assert call(folder, "read_multiple_files", {"paths": ["a", "b"]}).is_error


def test_no_files_are_an_error(folder: Path) -> None:
    assert call(folder, "read_multiple_files", {"paths": []}).is_error


# Confinement


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


# Writing


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
    assert "no folder" in answer.text


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


# Folders


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
    assert "no folder" in answer.text


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


# Searching


def test_text_is_found_with_path_line_and_column(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "a.txt").write_text("nothing\nthe TODO\n")
    (folder / "sub" / "b.txt").write_text("é TODO, TODO\n")
    answer = call(folder, "search_files_content", {"query": "TODO"})
    assert answer.text.splitlines() == ["a.txt:2:5: the TODO", "sub/b.txt:1:3: é TODO, TODO"]
    assert answer.data[1] == {"path": "sub/b.txt", "line": 1, "column": 3, "text": "é TODO, TODO"}


def test_what_is_found_can_be_read_under_the_path_that_is_answered(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "b.txt").write_text("TODO\n")
    secret = str(folder.parent / "outside" / "secret")
    for path, query, expected in (
        ("sub", "TODO", "sub/b.txt"),
        ("sub/b.txt", "TODO", "sub/b.txt"),
        ("../outside", "secret", secret),
    ):
        answer = call(folder, "search_files_content", {"query": query, "path": path}, allow=["../outside"])
        assert [match["path"] for match in answer.data] == [expected]


def test_text_is_not_read_as_an_expression_unless_asked(folder: Path) -> None:
    (folder / "a.txt").write_text("f(x)\nfx\n")
    literal = call(folder, "search_files_content", {"query": "f(x)"})
    expression = call(folder, "search_files_content", {"query": "f(x)", "is_regex": True})
    assert [match["line"] for match in literal.data] == [1]
    assert [match["line"] for match in expression.data] == [2]


def test_a_wrong_expression_is_explained(folder: Path) -> None:
    answer = call(folder, "search_files_content", {"query": "f(x", "is_regex": True})
    assert answer.is_error
    assert "Invalid regular expression: missing )" in answer.text


@pytest.mark.parametrize("pattern", ["skip", "skip/", "skip/**", "**/skip", "*.log", "*/*.log", "skip/b*"])
def test_excluded_names_and_paths_are_left_out(folder: Path, pattern: str) -> None:
    (folder / "skip").mkdir()
    (folder / "a.txt").write_text("TODO\n")
    (folder / "skip" / "b.log").write_text("TODO\n")
    answer = call(folder, "search_files_content", {"query": "TODO", "excludePatterns": [pattern]})
    assert [match["path"] for match in answer.data] == ["a.txt"]


def test_folders_that_tools_made_are_left_out_unless_asked_for(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("TODO\n")
    assert call(folder, "search_files_content", {"query": "TODO"}).data == []
    assert len(call(folder, "search_files_content", {"query": "TODO", "path": ".git"}).data) == 1


def test_binary_and_huge_files_are_counted_and_links_and_pipes_are_not_touched(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"TODO\0")
    (folder / "huge").write_bytes(b"TODO\n" * 1_100_000)
    (folder / "link").symlink_to(folder.parent / "outside" / "secret")
    (folder / "linked").symlink_to(folder.parent / "outside")
    os.mkfifo(folder / "pipe")
    answer = call(folder, "search_files_content", {"query": "", "is_regex": True})
    assert answer.is_error
    answer = call(folder, "search_files_content", {"query": "TODO|secret", "is_regex": True})
    assert answer.text == ("No matches in . (0 files searched).\n[Not searched: 1 binary, 1 larger than 5 MB.]")


def test_of_many_matches_the_first_are_answered_and_the_rest_counted(folder: Path) -> None:
    (folder / "a.txt").write_text("TODO\n" * 1_000)
    answer = call(folder, "search_files_content", {"query": "TODO"})
    assert len(answer.data) == 300
    assert "[300 of 1,000 matching lines shown." in answer.text


def test_matches_in_long_lines_do_not_overflow_an_answer(folder: Path) -> None:
    (folder / "a.txt").write_text(("x" * 5_000 + "TODO" + "y" * 5_000 + "\n") * 300)
    answer = call(folder, "search_files_content", {"query": "TODO"}, limit=5_000)
    assert len(answer.text) <= 5_000
    first = answer.data[0]
    assert first["column"] == 5_001
    assert "xTODOy" in first["text"]
    assert first["text"].startswith("…")
    assert "of 300 matching lines shown" in answer.text


def test_a_search_that_takes_too_long_is_stopped_with_what_it_found(folder: Path) -> None:
    (folder / "a.txt").write_text("aaa\n")
    (folder / "b.txt").write_text("a" * 40 + "!\n")
    before = psutil.Process().children()
    answer = call(folder, "search_files_content", {"query": CATASTROPHIC, "is_regex": True}, search_timeout=3.0)
    assert [match["path"] for match in answer.data] == ["a.txt"]
    assert "Stopped after 3 s" in answer.text
    assert psutil.Process().children() == before


def test_the_event_loop_goes_on_while_an_expression_takes_for_ever(folder: Path) -> None:
    (folder / "b.txt").write_text("a" * 40 + "!\n")
    box = ToolBox([FilesystemToolset(working_directory=folder)])
    arguments = json.dumps({"query": CATASTROPHIC, "is_regex": True})

    async def scenario() -> None:
        call = asyncio.ensure_future(box.call("search_files_content", arguments))
        while not psutil.Process().children():  # noqa: ASYNC110 - that the loop turns is what is tested
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(scenario())
    assert psutil.Process().children() == []


@pytest.mark.parametrize(
    "arguments", [{"query": ""}, {"query": "a\nb"}, {"query": "a", "path": "missing"}, {"query": "a", "is_regex": "x"}]
)
def test_a_search_that_makes_no_sense_is_an_error(folder: Path, arguments: dict[str, object]) -> None:
    assert call(folder, "search_files_content", arguments).is_error


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


# What git reads its configuration from


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
