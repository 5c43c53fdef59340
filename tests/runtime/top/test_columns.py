"""Columns of the table of `top`: which there is room for, and how their cells are cut."""

from __future__ import annotations

import pytest

pytest.importorskip("textual", reason="Textual is not installed: pip install 'subactors[top]'")
from rich.cells import cell_len
from subactors.runtime.top.columns import chosen, fitted


@pytest.mark.parametrize("room", [10, 40, 60, 78, 98, 120, 150, 250])
def test_columns_take_all_the_room_there_is_and_no_more(room: int) -> None:
    columns = chosen(room)

    assert sum(columns.widths) + len(columns.widths) - 1 <= room or room < 40
    assert columns.names[0] == "Task"


def test_what_matters_least_goes_first_and_of_the_status_its_mark_stays() -> None:
    assert chosen(160).names[-3:] == ("Cost", "CPU", "Memory")
    assert "Memory" not in chosen(140).names
    assert chosen(78).names == ("Task", "", "Time", "Time line", "Last words")
    assert chosen(40).names == ("Task", "", "Time")


@pytest.mark.parametrize(
    "text", ["short", "long words that are cut", "日本語の長い文です", "e\u0301" * 30, "👩‍👧" * 9, ""]
)
def test_text_is_fitted_by_the_cells_that_it_has(text: str) -> None:
    assert cell_len(fitted(text, 9)) == 9
