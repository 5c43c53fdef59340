"""Classes of the program itself: whole in tasks, which get them by value, and untouched in the program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import own_classes_program
import pytest


@pytest.fixture(scope="module")
def said() -> Any:
    """What the program has printed, as a script."""
    script = Path(own_classes_program.__file__)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=script.parent, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("team", ["given", "copied"])
def test_to_check_data_leaves_the_classes_of_the_program_as_they_are(said: Any, team: str) -> None:
    assert said[team]["changed"] == []


@pytest.mark.parametrize("team", ["given", "copied"])
@pytest.mark.parametrize("agent", ["weigh", "check", "measure"])
def test_data_is_checked_against_the_classes_of_the_program(said: Any, team: str, agent: str) -> None:
    result, refusal = said[team][agent]

    assert result == 1
    assert "required" in refusal


def test_classes_are_whole_in_tasks(said: Any) -> None:
    part = {"size": 1, "rows": [], "level": "low"}

    assert said["whole"] == {
        "subclass": {**part, "more": 5, "rows": [2]},
        "adapter": {**part, "size": 3},
        "model": {"part": part, "number": 2, "rows": [], "depth": 2},
        "required": ["part", "number"],
        "undefined": True,
        "struct": [{"size": 1}, True],
        "no default": True,
        "annotation": "dataclasses.KW_ONLY",
        "marks": {"size": True, "rows": True, "level": False},
        "signature": "(size: 'int', *, rows: 'list[int]' = <factory>, level: '_Level' = <_Level.LOW: 'low'>) -> None",
        "tool": ["part"],
        "tool's part": ["size"],
    }


def test_singletons_are_the_same_in_tasks(said: Any) -> None:
    assert said["singletons"] == [[], True, True, True]
