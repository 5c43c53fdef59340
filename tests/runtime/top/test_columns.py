"""Columns of the table of `top`: which there is room for, and how their cells are cut."""

from __future__ import annotations

import re
import time

import pytest

pytest.importorskip("textual", reason="Textual is not installed: pip install 'subactors[top]'")
from rich.cells import cell_len
from subactors.runtime.tasks.views import ToolAtWork, iso_time
from subactors.runtime.tasks.watching import TaskRow
from subactors.runtime.top.columns import Drawer, chosen, fitted
from subactors.runtime.top.listing import Listing
from subactors.runtime.watching.model import Model, RunSeen


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


def test_for_how_long_a_task_is_at_something_is_never_cut_off() -> None:
    began = iso_time(time.time() - 125)
    at_work = {"tools": [ToolAtWork("wait_background_agents", began)], "doing_began_at": began}
    model, listing = Model(), Listing()
    model.put_run(RunSeen(id="run_1", path="/run_1", live=True))
    row = TaskRow(id="agent_task_1", agent="worker", task="x", status="running", **at_work)
    model.take_journal("run_1", [row], live=True)
    listing.take(model)
    listing.lay_out()

    line = "".join(segment.text for segment in Drawer(listing, lambda *_: []).row(listing.rows[1], chosen(100)))
    assert re.search(r" wait_back\w*… 2:\d\d ", line)
