"""What programs have written last, as the reason for which they have ended."""

from __future__ import annotations

import os

import pytest
from subactors.runtime.nodes.last_words import LastWords, last_line


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"The disk is full.\n", "The disk is full"),
        (b"err\n" * 10_000, "err"),
        (b"The disk is full.\n....\n\n.\n", "The disk is full"),
        (b"The disk is full.\n" + b"\0" * 100, "The disk is full"),
        (b"." * 10_000, ""),
        (b"", ""),
    ],
)
def test_last_words_are_the_last_line_that_says_something(written: bytes, said: str) -> None:
    assert last_line(written) == said


def test_a_flood_is_taken_a_piece_at_a_time_and_its_end_is_seen() -> None:
    words = LastWords()
    os.set_blocking(words.writing, False)
    os.write(words.writing, b"err\n" * 100)
    assert words.take()
    words.begin()

    assert not words.take()
    assert words.last_line() == "err"
    words.close()
