"""What a task has said, bounded, in files."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from subactors.runtime.runs.output import OutputFiles, bound_log

Fill = Callable[..., OutputFiles]


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Fill]:
    """Makes an output with a limit, in which something has been said."""
    made: list[OutputFiles] = []

    def fill(limit: int, *pieces: bytes) -> OutputFiles:
        buffer = OutputFiles(tmp_path, f"agent_task_{len(made)}", limit)
        made.append(buffer)
        return written(buffer, *pieces)

    yield fill
    for buffer in made:
        buffer.close()


def written(buffer: OutputFiles, *pieces: bytes) -> OutputFiles:
    for piece in pieces:
        buffer.write(piece)
    return buffer


def read_all(buffer: OutputFiles, offset: int = 0) -> list[tuple[bytes, int]]:
    """Read from an offset to the end: pieces, and how much was missed before each."""
    pieces = []
    while True:
        piece = buffer.read_from(offset)
        assert piece.end - offset == len(piece.data) + piece.missed
        offset = piece.end
        pieces.append((piece.data, piece.missed))
        if not piece.more:
            assert offset == buffer.size
            return pieces


def test_output_within_the_limit_is_kept_whole(filled: Fill) -> None:
    buffer = filled(20, b"hello ", b"world")

    assert (buffer.text(), buffer.size) == ("hello world", 11)


def test_nothing_said_is_an_empty_text(filled: Fill) -> None:
    buffer = filled(20)

    assert (buffer.text(), buffer.last_lines(10), buffer.size) == ("", "", 0)
    assert read_all(buffer) == [(b"", 0)]


def test_beyond_the_limit_head_and_tail_are_kept_with_a_line_that_says_what_is_not(filled: Fill) -> None:
    buffer = filled(20, *[b"%03d" % number for number in range(1000)])

    assert buffer.text() == "0000010020\n\n[2,980 of 3,000 bytes left out here.]\n\n6997998999"
    assert buffer.size == 3000


def test_one_long_write_is_bounded_as_well(filled: Fill) -> None:
    text = filled(1000, b"a" * 500 + b"b" * 1_000_000 + b"c" * 500).text()

    assert text.startswith("a" * 500 + "\n\n[1,000,000 of 1,001,000 bytes left out here.]")
    assert text.endswith("]\n\n" + "c" * 500)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_limit_may_be_as_small_as_it_likes(filled: Fill, limit: int) -> None:
    buffer = filled(limit, *[b"abcdefgh"] * 50)

    assert buffer.size == 400
    assert buffer.last_lines(1) == "…h"
    assert re.search(r"\[39\d of 400 bytes left out here\.\]", buffer.text())


def test_of_a_limit_of_nothing_nothing_comes_and_of_no_limit_all_that_is_kept(filled: Fill) -> None:
    buffer = filled(100, b"x" * 250)

    assert buffer.text(0) == ""
    assert buffer.text() == buffer.text(100)
    assert "left out here" in buffer.text(1)


def test_the_files_are_bounded_however_much_is_said(filled: Fill, tmp_path: Path) -> None:
    buffer = filled(100_000)

    for _ in range(100):
        buffer.write(b"x" * 60_000)

    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 100_000 + 12_500
    assert len(re.sub(r"\n\n\[.*\]\n\n", "", buffer.text())) == 100_000


def test_what_was_said_can_be_read_from_the_files_alone(filled: Fill, tmp_path: Path) -> None:
    buffer = filled(1000, b"a" * 600, b"b" * 5000)

    found = OutputFiles.open(tmp_path, "agent_task_0")

    assert found.size == 5600
    assert found.text().startswith("a" * 500 + "\n\n[")
    assert found.last_lines(100) == buffer.last_lines(100) == "…" + "b" * 100


def test_output_that_is_removed_leaves_no_file(filled: Fill, tmp_path: Path) -> None:
    filled(10, b"x" * 100).remove()

    assert list(tmp_path.iterdir()) == []


def test_what_a_full_disk_does_not_take_is_missing_and_said_to_be(filled: Fill, tmp_path: Path) -> None:
    buffer = filled(1000, b"before ")
    (tmp_path / "agent_task_0.0.out").chmod(0o400)
    buffer.close()
    # A folder in the place of the next piece fails for root as well.
    (tmp_path / "agent_task_1.0.out").mkdir()
    broken = filled(1000, b"lost")

    assert broken.size == 4
    assert "could not be kept whole: Is a directory" in broken.text()
    assert buffer.text() == "before "


def test_characters_that_are_cut_become_at_most_one_mark(filled: Fill) -> None:
    buffer = filled(21, "é".encode() * 100)

    head, tail = buffer.text().split("\n\n[")[0], buffer.text().split("]\n\n")[1]
    assert head == "é" * 5
    assert tail == "é" * 5


def test_of_a_long_line_its_end_is_last_with_a_mark(filled: Fill) -> None:
    buffer = filled(1000, "ünsinn".encode() * 20)

    assert buffer.last_lines(7) == "…ünsinn"
    assert buffer.last_lines(6) == "…nsinn"
    assert buffer.last_lines(10_000) == "ünsinn" * 20


@pytest.mark.parametrize("data", [b"one\ntwo\nthree\n", b"x" * 2000 + b"\ntwo\nthree\n"])
def test_last_lines_are_whole(filled: Fill, data: bytes) -> None:
    buffer = filled(5000, data)

    assert [buffer.last_lines(limit) for limit in (6, 9, 10)] == ["three\n", "three\n", "two\nthree\n"]
    assert buffer.last_lines(5) == "…hree\n"


def test_the_tail_goes_back_into_the_head_only_where_nothing_is_missing(filled: Fill) -> None:
    assert filled(20, b"0123456789", b"abcde").last_lines(8) == "…789abcde"
    assert "0" not in filled(20, b"0123456789", b"x" * 200_000, b"abcde").last_lines(150_000)


def test_a_reader_goes_on_where_it_stopped(filled: Fill) -> None:
    buffer = filled(100, b"one ")
    first = buffer.read_from(0)
    buffer.write(b"two ")

    second = buffer.read_from(first.end)

    assert (first.data, second.data) == (b"one ", b"two ")
    assert buffer.read_from(second.end).data == b""


def test_a_reader_that_is_behind_learns_what_it_missed_and_where(filled: Fill) -> None:
    buffer = filled(80, b"0" * 40, b"x" * 200_000, b"y" * 10)

    (head, nothing), *tail = read_all(buffer)

    assert (head, nothing) == (b"0" * 40, 0)
    assert b"".join(data for data, _ in tail) == b"x" * 40 + b"y" * 10
    assert sum(missed for _, missed in tail) == tail[0][1] == 199_960
    assert read_all(buffer, offset=50)[0][1] == 199_950


@pytest.mark.parametrize("seed", range(50))
def test_whatever_is_written_what_is_kept_is_where_it_was(seed: int, filled: Fill) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's input
    limit = chance.randint(1, 300)
    buffer = filled(limit)
    said = b""
    offset = 0
    for _ in range(chance.randint(0, 60)):
        size = chance.choice([0, 1, 5, 40, 70_000 if seed < 5 else 7])
        data = bytes(chance.randrange(97, 123) for _ in range(min(size, 40))) * (size // 40 or 1)
        buffer.write(data)
        said += data
        if chance.random() < 0.3:
            for piece, missed in read_all(buffer, offset):
                offset += missed
                assert piece == said[offset : offset + len(piece)]
                offset += len(piece)
            assert offset == len(said)

    assert buffer.size == len(said)
    count = chance.randint(1, 2 * limit)
    assert said.endswith(buffer.last_lines(count).removeprefix("…").encode())
    if len(said) <= limit:
        assert buffer.text().encode() == said
        return
    head, note, tail = buffer.text().split("\n\n")
    assert said.startswith(head.encode())
    assert said.endswith(tail.encode())
    assert len(head) + len(tail) == limit
    assert note == f"[{len(said) - limit:,} of {len(said):,} bytes left out here.]"


def test_what_a_process_writes_last_while_its_log_is_cut_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"flood " * 2_000_000)
    last_words, pwrite = [b"the last words\n", b"why it ended, "], os.pwrite

    def written_meanwhile(descriptor: int, data: bytes, offset: int) -> int:
        if last_words:
            with log.open("ab") as file:
                file.write(last_words.pop())
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", written_meanwhile)
    bound_log(str(log))

    kept = log.read_bytes()
    assert kept.startswith(b"[11000000 bytes were left out here.]\n")
    assert kept.endswith(b"flood why it ended, the last words\n")
