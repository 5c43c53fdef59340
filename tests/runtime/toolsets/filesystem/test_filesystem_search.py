"""Searching the content of files with the filesystem tools: what is found, and what a search may cost."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import psutil
import pytest
from filesystem_calls import call, working_directory
from subactors.runtime.toolsets.base import ToolBox
from subactors.runtime.toolsets.filesystem.toolset import FilesystemToolset

CATASTROPHIC = "(a+)+$"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return working_directory(tmp_path)


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
    before = psutil.Process().children()

    async def scenario() -> None:
        call = asyncio.ensure_future(box.call("search_files_content", arguments))
        while psutil.Process().children() == before:  # noqa: ASYNC110 - that the loop turns is what is tested
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(scenario())
    assert psutil.Process().children() == before


@pytest.mark.parametrize(
    "arguments", [{"query": ""}, {"query": "a\nb"}, {"query": "a", "path": "missing"}, {"query": "a", "is_regex": "x"}]
)
def test_a_search_that_makes_no_sense_is_an_error(folder: Path, arguments: dict[str, object]) -> None:
    assert call(folder, "search_files_content", arguments).is_error
