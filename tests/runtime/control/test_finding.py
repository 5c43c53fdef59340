"""Finding: which thing a part of its name stands for."""

from __future__ import annotations

import pytest
from subactors.runtime.control.finding import fitting

NAMES = ["task_12ab", "task_12cd", "task_ab34", "task_ab345"]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("task_12ab", ["task_12ab"]),
        ("task_ab34", ["task_ab34"]),  # whole, though another begins with it
        ("12a", ["task_12ab"]),
        ("task_12c", ["task_12cd"]),
        ("ab", ["task_ab34", "task_ab345"]),  # beginnings, though 12ab has it, too
        ("2c", ["task_12cd"]),  # a part, as no name begins with it
        ("b3", ["task_ab34", "task_ab345"]),
        ("task_", NAMES),
        ("x", []),
    ],
)
def test_a_part_stands_for_the_whole_name_else_for_those_that_begin_with_it_else_for_those_that_have_it(
    part: str, found: list[str]
) -> None:
    assert fitting(part, NAMES, "task_") == found
