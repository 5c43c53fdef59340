"""What a zygote does in a quiet moment, and a process that stands by: rehearse, and arrange its memory."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from subactors.runtime.child import rehearsal
from subactors.runtime.tasks.messages import Began, CallsBegan, ToolAnswered, ToolCalled, TurnEnded


class Task:
    """As much of an `EntrypointTask` as a rehearsal uses."""

    def emit(self, text: str) -> None:
        """Say nothing."""
        assert text == ""


def test_a_team_with_models_rehearses_a_whole_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    import subactors.runtime.models.openai.warm_up  # noqa: F401, PLC0415 - what a zygote has imported for such a team

    told: list[msgspec.Struct] = []
    monkeypatch.setattr(rehearsal, "encode_plain", told.append)
    task: Any = Task()

    assert rehearsal.rehearse(task) == ""

    assert [type(report) for report in told] == [Began, CallsBegan, ToolCalled, ToolAnswered, TurnEnded, TurnEnded]
    assert [report.is_error for report in told if isinstance(report, ToolAnswered)] == [False]


def test_a_short_rehearsal_is_that_of_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    import subactors.runtime.models.openai.warm_up  # noqa: F401, PLC0415 - what a zygote has imported for such a team

    told: list[msgspec.Struct] = []
    monkeypatch.setattr(rehearsal, "encode_plain", told.append)
    task: Any = Task()

    assert rehearsal.rehearse_briefly(task) == ""

    assert told == []


def run(program: str) -> str:
    """Run a program: what it does to its memory cannot be undone."""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_code_that_is_brought_together_does_what_it_did() -> None:
    program = """
from subactors.actors.zygote.sharing import settle_code

def outer(base):
    def inner(number, *more, key=1):
        return base + number + sum(more) + key
    return inner

class Shape:
    def area(self):
        return 6

def unused():
    return 0

inner = outer(1000)

def rehearse():
    return inner(1, 2, 3, key=4), Shape().area(), sorted([2, 1], key=lambda number: -number)

before = rehearse()
codes = [outer.__code__, inner.__code__, Shape.area.__code__, unused.__code__]
settle_code(rehearse)
assert rehearse() == before == (1010, 6, [2, 1]), rehearse()
print([a is b for a, b in zip(codes, [outer.__code__, inner.__code__, Shape.area.__code__, unused.__code__])])
"""
    assert run(program) == "[True, False, False, True]\n"


def test_new_objects_are_made_apart_from_those_of_a_settled_process() -> None:
    program = """
from subactors.actors.linux import kernel as _linux
from subactors.actors.zygote.sharing import settle_memory

def new():
    return [bytes(size) for size in range(20, 3000, 16)]

before = _linux.anonymous_memory()

def among_the_old(objects):
    return sum(any(first <= id(item) < behind for first, behind in before) for item in objects)

first = new()
settle_memory()
second = new()
assert among_the_old(first) > 60, among_the_old(first)
assert among_the_old(second) < 30, among_the_old(second)
"""
    run(program)
