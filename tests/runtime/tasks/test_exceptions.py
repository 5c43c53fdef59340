"""Exceptions that are made anew of what a task has sent, which may be anything."""

from __future__ import annotations

import pytest
from subactors.runtime.tasks.exceptions import error_of, pack_arguments


class OwnError(ValueError):
    """A type of a program's."""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("eval", '["1"]', id="a function of Python's own"),
        pytest.param("int", "[1]", id="another type"),
        pytest.param("SystemExit", "[1]", id="what ends a program"),
        pytest.param("KeyboardInterrupt", "[]", id="what interrupts one"),
        pytest.param("os.error", "[1]", id="a type of another module"),
        pytest.param("ValueError", '{"a": 1}', id="a mapping"),
        pytest.param("ValueError", "[[[1]]]", id="what is nested"),
        pytest.param("ValueError", "[" * 8000, id="what is nested deeply"),
        pytest.param("ValueError", "not JSON", id="not JSON"),
        pytest.param("ExceptionGroup", '["a", ["b"]]', id="a group of what is not exceptions"),
        pytest.param("UnicodeDecodeError", '["utf-8", {"data": "YQ=="}, -9999999, -9999998, "x"]', id="before a text"),
        pytest.param("UnicodeEncodeError", '["utf-8", "a", 5, 6, "x"]', id="behind a text"),
        pytest.param("UnicodeTranslateError", '["a", 9999999, 9999999, "x"]', id="far behind a text"),
    ],
)
def test_nothing_else_is_made(name: str, arguments: str) -> None:
    assert error_of(name, arguments) is None


@pytest.mark.parametrize(
    "error", [OwnError(1), ExceptionGroup("a", [ValueError()]), ValueError(object()), ValueError("\ud800")]
)
def test_nothing_else_is_packed(error: Exception) -> None:
    assert pack_arguments(error) == ""
