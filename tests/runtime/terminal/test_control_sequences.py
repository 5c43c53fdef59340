"""What of a text could command a terminal or deceive its reader is taken out, whole or in pieces; the rest stays."""

from __future__ import annotations

import random

import pytest
from first_forms import first_always
from subactors.runtime.terminal.control_sequences import Cleaner, clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a \x1b]52;c;aGk=\x07b", "a b"),  # OSC, ended by BEL: writes the clipboard
        ("a \x1b]0;title\x1b\\b", "a b"),  # ended by ST
        ("a \x9d0;title\x9cb", "a b"),  # the same in C1
        ("a \x1bPq#0;1\x1b\\b", "a b"),  # DCS
        ("a \x1b_APC\x1b\\\x1b^PM\x9c\x1bXSOS\x1b\\b", "a b"),
        ("\x1b[31;1mred\x1b[0m \x9b2Jall", "red all"),  # CSI
        ("\x1b(B\x1bc\x1b7x\x1b", "x"),  # a character set, a reset, the cursor
        ("bell\x07 null\x00 back\x08 del\x7f form\x0c", "bell null back del form"),
        ("one\rtwo\r\nthree\n", "onetwo\nthree\n"),
        ("tabs\tand\nlines", "tabs\tand\nlines"),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
    ],
)
def test_control_sequences_are_taken_out_and_lines_stay(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize("begin", ["\x1b]0;", "\x1bP", "\x9d", "\x1b["])
def test_a_sequence_without_an_end_hides_no_text(begin: str) -> None:
    shown = clean(f"before {begin}the answer\nand more")
    assert "answer" in shown
    assert shown.endswith("\nand more")
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "deceit",
    [
        "\u202e",
        "\u2066",
        "\u2069",
        "\u200f",
        "\u061c",
        "\u200b",
        "\u200c",
        "\u200d",
        "\u2060",
        "\ufeff",
        "\u00ad",
        "\u3164",
        "\U000e0061",
    ],
)
def test_overrides_isolates_and_what_has_no_width_are_taken_out_of_a_name(deceit: str) -> None:
    assert clean(f"pay{deceit}pal") == "paypal"


@pytest.mark.parametrize(
    "text",
    [
        "naïve 你好 😀",
        "👨\u200d👩\u200d👧",
        "\u0645\u06cc\u200c\u062e\u0648",
        "क्\u200dष",
        "❤\ufe0f",
        "10\u00a0000\u3000x",
        "\ue0b0",
        "é́",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_pieces_are_cleaned_as_the_whole_is_wherever_they_are_cut() -> None:
    chance = random.Random(7)  # noqa: S311 - a test's
    for _ in range(20_000):
        text = "".join(
            chance.choices("ab\n\x1b[]P;\x07\\0m \x9b\x9d\x9c\u200d👨é\u202e\ud800\r", k=chance.randint(0, 14))
        )
        cleaner, shown, at = Cleaner(), "", 0
        while at < len(text):
            size = chance.randint(1, 4)
            shown += cleaner.feed(text[at : at + size])
            at += size
        assert shown + cleaner.end() == clean(text), text


def test_of_a_sequence_that_never_ends_no_more_than_a_bound_is_held_back() -> None:
    cleaner = Cleaner()
    shown = sum(len(cleaner.feed("\x1b]" + "x" * 999 if number == 0 else "x" * 1000)) for number in range(1000))
    assert shown > 900_000


@first_always("flood", ["\x1b]", "\x1b[", "\x1b ", "\u200d", "\x1b]x", "\x9b1", "\r"])
def test_a_flood_of_beginnings_takes_linear_time(flood: str) -> None:
    # Were it quadratic, the test's own limit of time would end it.
    assert len(clean(flood * 1_000_000)) <= 1_000_000
