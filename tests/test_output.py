"""The bounded memory of what a task has said."""

from __future__ import annotations

import random
import re

import pytest
from subactors.runtime._output import OutputBuffer


def filled(limit: int, *pieces: bytes) -> OutputBuffer:
    buffer = OutputBuffer(limit)
    for piece in pieces:
        buffer.write(piece)
    return buffer


def read_all(buffer: OutputBuffer, offset: int = 0) -> list[tuple[bytes, int]]:
    """Read from an offset to the end: pieces, and how much was missed before each."""
    pieces = []
    while True:
        piece = buffer.read_from(offset)
        assert piece.end - offset == len(piece.data) + piece.missed
        offset = piece.end
        pieces.append((piece.data, piece.missed))
        if not piece.before_gap:
            assert offset == buffer.size
            return pieces


def test_output_within_the_limit_is_kept_whole() -> None:
    buffer = filled(20, b"hello ", b"world")

    assert (buffer.text(), buffer.size) == ("hello world", 11)


def test_nothing_said_is_an_empty_text() -> None:
    buffer = filled(20)

    assert (buffer.text(), buffer.tail_text(10), buffer.size) == ("", "", 0)
    assert read_all(buffer) == [(b"", 0)]


def test_beyond_the_limit_head_and_tail_are_kept_with_a_line_that_says_what_is_not() -> None:
    buffer = filled(20, *[b"%03d" % number for number in range(1000)])

    assert buffer.text() == "0000010020\n\n[2,980 of 3,000 bytes left out here.]\n\n6997998999"
    assert buffer.size == 3000


def test_one_long_write_is_bounded_as_well() -> None:
    text = filled(1000, b"a" * 500 + b"b" * 1_000_000 + b"c" * 500).text()

    assert text.startswith("a" * 500 + "\n\n[1,000,000 of 1,001,000 bytes left out here.]")
    assert text.endswith("]\n\n" + "c" * 500)


def test_memory_is_bounded_however_much_is_said() -> None:
    buffer = OutputBuffer(100_000)

    for _ in range(100):
        buffer.write(b"x" * 60_000)

    kept = len(buffer._head) + sum(len(piece) for piece in buffer._tail)
    assert kept <= 100_000 + 65_536
    assert len(re.sub(r"\n\n\[.*\]\n\n", "", buffer.text())) == 100_000


def test_characters_that_are_cut_become_at_most_one_mark() -> None:
    buffer = filled(21, "é".encode() * 100)

    head, tail = buffer.text().split("\n\n[")[0], buffer.text().split("]\n\n")[1]
    assert head == "é" * 5
    assert tail == "é" * 5


def test_the_tail_is_never_longer_than_asked_for() -> None:
    buffer = filled(1000, "ünsinn".encode() * 20)

    assert buffer.tail_text(7) == "ünsinn"
    assert buffer.tail_text(6) == "nsinn"
    assert buffer.tail_text(10_000) == "ünsinn" * 20


def test_the_tail_goes_back_into_the_head_only_where_nothing_is_missing() -> None:
    assert filled(20, b"0123456789", b"abcde").tail_text(8) == "789abcde"
    assert "0" not in filled(20, b"0123456789", b"x" * 200_000, b"abcde").tail_text(150_000)


def test_a_reader_goes_on_where_it_stopped() -> None:
    buffer = filled(100, b"one ")
    first = buffer.read_from(0)
    buffer.write(b"two ")

    second = buffer.read_from(first.end)

    assert (first.data, second.data) == (b"one ", b"two ")
    assert buffer.read_from(second.end).data == b""


def test_a_reader_that_is_behind_learns_what_it_missed_and_where() -> None:
    buffer = filled(20, b"0123456789", b"x" * 200_000, b"y" * 65_536)

    assert read_all(buffer) == [(b"0123456789", 0), (b"y" * 65_536, 200_000)]
    assert read_all(buffer, offset=50) == [(b"y" * 65_536, 199_960)]


@pytest.mark.parametrize("seed", range(50))
def test_whatever_is_written_what_is_kept_is_where_it_was(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test's input
    limit = chance.randint(1, 300)
    buffer = OutputBuffer(limit)
    said = b""
    offset = 0
    for _ in range(chance.randint(0, 60)):
        data = bytes(chance.randrange(97, 123) for _ in range(chance.choice([0, 1, 5, 40, 70_000 if seed < 5 else 7])))
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
    assert said.endswith(buffer.tail_text(count).encode())
    if len(said) <= limit:
        assert buffer.text().encode() == said
        return
    head, note, tail = buffer.text().split("\n\n")
    assert said.startswith(head.encode())
    assert said.endswith(tail.encode())
    assert len(head) + len(tail) == limit
    assert note == f"[{len(said) - limit:,} of {len(said):,} bytes left out here.]"
