"""What `functools` wraps functions in, as tasks: of the program itself, and so by value."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from subactors.runtime import Runtime

PATIENCE = 30.0

PROGRAM = """
import functools, json
from subactors.runtime import Runtime

@functools.cache
def square(number):
    return number * number

def area(number):
    return square(number) + 1

@functools.cache
def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

@functools.singledispatch
def shown(value):
    return "something"

@shown.register
def _(value: list):
    return [shown(part) for part in value]

@shown.register
def _(value: int):
    return "a number"

class Shape:
    def __init__(self, side):
        self.side = side

    @functools.cached_property
    def area(self):
        return square(self.side)

    def doubled(self):
        return self.area * 2

    @functools.lru_cache
    def sides(self):
        return 4

    @functools.singledispatchmethod
    def add(self, other):
        return "something"

    @add.register
    def _(self, other: int):
        return self.side + other

with Runtime() as runtime:
    calls = [
        (square, 3), (area, 3), (fibonacci, 30), (shown, [1, "a"]), (Shape(3).doubled,), (Shape(3).sides,),
        (Shape(3).add, 4), (functools.partial(square, 5),),
    ]
    tasks = [runtime.submit(*call) for call in calls]
    mapped = list(runtime.map(square, range(4), chunksize=2))
    print(json.dumps([*(task.result(30) for task in tasks), mapped]))
"""


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(stop_grace=0.5, standby=0) as runtime:
        runtime.submit(abs, -1).result(PATIENCE)
        yield runtime


def test_functions_of_a_script_that_functools_has_wrapped_are_found_in_tasks(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)

    assert done.stderr == ""
    assert json.loads(done.stdout) == [9, 10, 832040, ["a number", "something"], 18, 4, 7, 25, [0, 1, 4, 9]]


def test_a_cache_is_made_anew_with_its_size_and_is_empty(runtime: Runtime) -> None:
    @functools.lru_cache(maxsize=7, typed=True)
    def kept(value: float) -> float:
        return value

    kept(5)

    def looked_at() -> Any:
        before = kept.cache_info().currsize
        kept(1)
        kept(1.0)
        return [before, kept.cache_info().currsize, kept.cache_parameters()]

    assert runtime.submit(looked_at).result(PATIENCE) == [0, 2, {"maxsize": 7, "typed": True}]


def test_attributes_of_a_wrapped_function_go_with_it(runtime: Runtime) -> None:
    @functools.cache
    def cached() -> None: ...

    @functools.singledispatch
    def generic(_value: Any) -> None: ...

    cached.note = "first"  # type: ignore[attr-defined]
    generic.note = "second"  # type: ignore[attr-defined]

    assert runtime.submit(lambda: [cached.note, generic.note]).result(PATIENCE) == [  # type: ignore[attr-defined]
        "first",
        "second",
    ]


def test_the_object_that_a_wrapped_function_cannot_be_sent_for_is_named(runtime: Runtime) -> None:
    lock = threading.Lock()

    @functools.cache
    def locked() -> bool:
        return lock.locked()

    with pytest.raises(
        TypeError, match=r"locked cannot be sent .*: the variable 'lock' of function '.*locked' is a th"
    ):
        runtime.submit(locked)
