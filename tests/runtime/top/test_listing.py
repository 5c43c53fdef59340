"""Rows of a tree: order, filter, folding, and what they come to; and the columns for which there is room."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from subactors.runtime.models.base import Usage
from subactors.runtime.tasks.watching import RowChange, TaskChanges, TaskRow
from subactors.runtime.top.listing import Listing
from subactors.runtime.top.words import amount, dollars, memory, span
from subactors.runtime.watching.model import Model, RunSeen


def row(number: int, parent: int | None = None, **values: Any) -> TaskRow:
    owner = f"agent_task_{parent}" if parent is not None else None
    fields = {"agent": "worker", "task": f"work {number}", "status": "running", **values}
    return TaskRow(id=f"agent_task_{number}", parent=owner, **fields)


@pytest.fixture
def model() -> Model:
    model = Model()
    model.put_run(RunSeen(id="run_1", path="/run_1", live=True, started_at="2026-01-31T12:00:00.000Z"))
    return model


def shown(model: Model, listing: Listing, *rows: TaskRow, run: str = "run_1") -> list[tuple[str, int]]:
    """Take rows; return those of the listing, as what differs in their ids, with their levels."""
    if rows:
        changed = [msgspec.convert(msgspec.to_builtins(each), RowChange) for each in rows]
        model.merge(run, TaskChanges(cursor="a-1", reset=False, changed=changed))
    listing.take(model)
    listing.lay_out()
    return [(row.id.removeprefix("agent_task_"), row.level) for row in listing.rows]


def test_a_task_is_below_what_has_started_it(model: Model) -> None:
    listing = Listing()

    assert shown(model, listing, row(1), row(2), row(3, 1), row(4, 3), row(5, 1)) == [
        ("run_1", 0),
        *(("1", 1), ("3", 2), ("4", 3), ("5", 2)),
        ("2", 1),
    ]
    assert [listing.rows[listing.owner(place) or 0].id for place in (1, 3)] == ["run_1", "agent_task_3"]


def test_what_is_folded_stays_so_when_more_comes_and_a_filter_shows_it_all_the_same(model: Model) -> None:
    listing = Listing()
    shown(model, listing, row(1), row(2, 1))
    listing.fold("agent_task_1", True)

    assert shown(model, listing, row(3, 1), row(4)) == [("run_1", 0), ("1", 1), ("4", 1)]
    listing.filter("work 3")
    assert shown(model, listing) == [("run_1", 0), ("1", 1), ("3", 2)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("status:fail", ["run_1", "2"]),
        ("agent:READ", ["run_1", "1", "3"]),
        ("no such", []),
        ("luck", ["run_1", "2"]),
        ("run:_1 work", ["run_1", "1", "3", "2"]),
    ],
)
def test_a_filter_is_words_and_names_of_fields(model: Model, text: str, found: list[str]) -> None:
    listing = Listing()
    listing.filter(text)

    rows = shown(model, listing, row(1), row(2, status="failed", reason="No luck"), row(3, 1, agent="Reader"))
    assert [row_id for row_id, _ in rows] == found


def test_a_task_comes_into_a_filter_and_leaves_it(model: Model) -> None:
    listing = Listing()
    listing.filter("status:running")
    assert len(shown(model, listing, row(1))) == 2

    assert shown(model, listing, row(1, status="completed")) == []


def test_runs_of_before_are_shown_when_they_are_wanted_and_counted_only_then(model: Model) -> None:
    model.put_run(RunSeen(id="run_0", path="/run_0", live=False, is_former=True))
    listing = Listing()
    used = Usage(input_tokens=900, output_tokens=100, cost=0.5)
    shown(model, listing, row(1, usage=used))

    assert shown(model, listing, row(2, usage=used), run="run_0") == [("run_1", 0), ("1", 1)]
    assert (listing.total.tokens, listing.total.counts["running"]) == (1000, 1)
    listing.show_past(True)
    assert shown(model, listing) == [("run_1", 0), ("1", 1), ("run_0", 0), ("2", 1)]
    assert (listing.total.tokens, listing.total.cost) == (2000, 1.0)


def test_a_run_that_is_removed_goes_with_its_tasks(model: Model) -> None:
    listing = Listing()
    listing.filter("work")
    shown(model, listing, row(1))
    model.drop_run("run_1")

    assert shown(model, listing) == []
    assert listing.tasks == listing.runs == {}


def test_owners_that_own_each_other_do_no_harm(model: Model) -> None:
    assert shown(model, Listing(), row(1, 2), row(2, 1), row(3)) == [("run_1", 0), ("3", 1)]


def test_numbers_are_told_as_on_the_page() -> None:
    assert [span(seconds) for seconds in (-1, 48.9, 129, 3729)] == ["0s", "48s", "2:09", "1:02:09"]
    assert [amount(number) for number in (900, 1400, 14_400, 2_900_000, 29_000_000)] == [
        *("900", "1.4k", "14k", "2.9M", "29M")
    ]
    assert [memory(count) for count in (640_000, 9_500_000, 64_000_000, 1.2e9)] == [
        *("640 kB", "9.5 MB", "64 MB", "1.2 GB")
    ]
    assert [dollars(cost) for cost in (0, 0.001, 12.3)] == ["", "<$0.01", "$12.30"]
