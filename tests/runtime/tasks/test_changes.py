"""What has changed of rows since a cursor."""

from __future__ import annotations

import pytest
from subactors.runtime.tasks import changes
from subactors.runtime.tasks.changes import ChangeLog, Row


class Words(Row, frozen=True):
    words: str = ""
    size: int = 0


@pytest.fixture
def log() -> ChangeLog[Words]:
    log: ChangeLog[Words] = ChangeLog()
    log.put(Words("a"))
    log.put(Words("b"))
    return log


def test_who_has_no_cursor_is_told_all_rows_in_the_order_in_which_they_came(log: ChangeLog[Words]) -> None:
    log.put(Words("a", "later"))

    assert log.since("")[1:] == (
        True,
        [{"id": "a", "words": "later", "size": 0}, {"id": "b", "words": "", "size": 0}],
        [],
    )


def test_who_comes_back_is_told_the_fields_that_have_changed_and_no_others(log: ChangeLog[Words]) -> None:
    cursor = log.cursor
    log.put(Words("b", "hello", 5))
    log.put(Words("b", "hello", 6))
    log.put(Words("c"))

    changed = log.since(cursor)
    assert changed[1:] == (False, [{"id": "b", "words": "hello", "size": 6}, {"id": "c", "words": "", "size": 0}], [])
    assert log.since(changed.cursor).is_empty


def test_a_row_that_is_as_it_was_is_no_change(log: ChangeLog[Words]) -> None:
    assert not log.put(Words("a"))
    assert log.since(log.cursor).is_empty


def test_a_row_that_is_gone_is_told_once_and_not_at_all_if_it_has_come_again(log: ChangeLog[Words]) -> None:
    cursor = log.cursor
    log.drop("a")
    assert log.since(cursor).gone == ["a"]
    log.put(Words("a", "new"))

    assert log.since(cursor)[1:] == (False, [{"id": "a", "words": "new", "size": 0}], [])


@pytest.mark.parametrize("cursor", ["1", "-", "deadbeef-2", "x" * 1000, "deadbeef-" + "9" * 5000, "٣-٣"])
def test_a_cursor_of_another_log_begins_anew(log: ChangeLog[Words], cursor: str) -> None:
    assert log.since(cursor).reset


def test_a_cursor_from_before_what_is_kept_begins_anew(log: ChangeLog[Words], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_GONE", 1)
    cursor = log.cursor
    log.drop("a")
    log.drop("b")

    assert log.since(cursor).reset
