"""Where lines are broken that are longer than those of a terminal."""

from __future__ import annotations

import pytest
from subactors.runtime.text import broken, broken_prose


def test_a_line_that_has_room_stays_as_it_is() -> None:
    assert broken("one  two ", 9) == "one  two "


def test_a_long_line_is_broken_between_words_and_keeps_its_indentation() -> None:
    assert broken("  one two three four", 11, "..") == "  one two\n  ..three\n  ..four"


def test_a_path_is_never_broken() -> None:
    assert broken("see /a-path/longer/than-it all", 10) == "see\n/a-path/longer/than-it\nall"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("one two three", "one two\nthree"),
        ("- one two three", "- one\n  two\n  three"),
        ("12. one two", "12. one\n    two"),
        ("> one two three", "> one\n> two\n> three"),
        ("  - one two", "  - one\n    two"),
    ],
)
def test_prose_goes_on_below_where_it_began(line: str, shown: str) -> None:
    assert broken_prose(line, 8) == shown


@pytest.mark.parametrize(
    "text",
    [
        "| a table | of two |\n|---|---|",
        '{\n  "a": "some long text"\n}',
        "[1, 2, 3, 4, 5, 6, 7]",
        "    indented code of a kind",
        "\tindented code of a kind",
        "```sh\nrm --recursive some folder\n```",
        "~~~\nrm --recursive some folder\n~~~",
    ],
)
def test_code_tables_and_json_are_not_broken(text: str) -> None:
    assert broken_prose(text, 8) == text


def test_prose_after_code_is_broken_again() -> None:
    assert (
        broken_prose("```\na long line of it\n```\nand then prose", 8) == "```\na long line of it\n```\nand then\nprose"
    )
