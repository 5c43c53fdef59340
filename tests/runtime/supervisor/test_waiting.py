"""Who waits for which task: the books are right, and empty when nobody waits any more."""

from __future__ import annotations

from typing import Any, cast

import pytest
from subactors.runtime.supervisor.messages import Waiter
from subactors.runtime.supervisor.task import Task
from subactors.runtime.supervisor.waiters import Waiters


class Named:
    """What the books need of a task."""

    def __init__(self, name: str, *, is_over: bool = False) -> None:
        self.id = name
        self.is_over = is_over


def task(name: str, *, is_over: bool = False) -> Task:
    return cast("Task", Named(name, is_over=is_over))


def waiter(*tasks: Task, mode: Any = "all", caller: str | None = None) -> Waiter:
    return Waiter(list(tasks), mode, cast("Any", None), caller)


@pytest.fixture
def waiters() -> Waiters:
    return Waiters(lambda _: None)


def test_one_that_waits_for_all_is_due_with_the_last_of_them(waiters: Waiters) -> None:
    first, second = task("first"), task("second")
    waits = waiter(first, second, task("over", is_over=True))
    waiters.add(waits)

    assert waiters.ended(first) == []
    assert waiters.ended(second) == [waits]


def test_one_that_waits_for_any_is_due_with_the_first_of_them(waiters: Waiters) -> None:
    first = task("first")
    waits = waiter(first, task("second"), mode="any")
    waiters.add(waits)

    assert not waits.is_due
    assert waiters.ended(first) == [waits]


def test_one_that_waits_for_nothing_that_runs_is_due_at_once(waiters: Waiters) -> None:
    waits = waiter(task("over", is_over=True))
    waiters.add(waits)

    assert waits.is_due


def test_what_a_caller_waits_for_is_counted_anew_for_each_request(waiters: Waiters) -> None:
    first, second = task("first"), task("second")
    waiters.add(waiter(first, second, caller="a"))
    waiters.add(waiter(first, caller="a"))
    waiters.add(waiter(first, caller="b"))

    assert waiters.counts_of("a") == (2, 3)
    assert waiters.counts_of("nobody") == (0, 0)


def test_an_answered_request_leaves_nothing_in_the_books(waiters: Waiters) -> None:
    first, second = task("first"), task("second")
    waits = waiter(first, second, caller="a")
    waiters.add(waits)
    waiters.ended(first)

    assert waiters.remove(waits)
    assert not waiters.remove(waits)
    assert waiters.all == waiters.of("a") == []
    assert waiters.ended(second) == []
    assert [each for each in vars(waiters).values() if isinstance(each, dict) and each] == []
