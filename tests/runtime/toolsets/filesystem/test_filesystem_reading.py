"""Reading files with the filesystem tools: what is answered of a file, and what is no file to read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from filesystem_calls import call, working_directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return working_directory(tmp_path)


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
