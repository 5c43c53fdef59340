"""Functions as tasks: what can be submitted, from where, and how what cannot is refused."""

from __future__ import annotations

import functools
import importlib.util
import io
import operator
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import submitted_functions as functions
from subactors.runtime import Limits, RestartPolicy, Runtime, TaskFailed, TaskStopped
from subactors.runtime.verbs.request import call_request
from submitted_functions import Colour, Point

PATIENCE = 30.0


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime(stop_grace=0.5, max_tasks=10_000, standby=0, **place) as runtime:
        runtime.submit(functions.add, 1).result(PATIENCE)
        yield runtime


def _closure(number: int) -> Callable[[int], int]:
    return lambda other: number * other


@pytest.mark.parametrize(
    ("function", "args", "result"),
    [
        (functions.add, (1, 2), 3),
        (functions.later, ("soon",), "soon"),
        (functions.Account(5).after, (2,), 7),
        (functions.Account.empty, (), 0),
        (functions.Account.currency, (), "EUR"),
        (functions.Adder(5), (2,), 7),
        (functions.Point, (1, 2), {"x": 1, "y": 2}),
        (functools.partial(functions.add, 1, second=5), (), 6),
        (functools.partial(functools.partial(functions.later), [1]), (), [1]),
        (operator.attrgetter("x"), (Point(3, 4),), 3),
        (os.path.basename, ("/a/b",), "b"),
        (len, ([1, 2],), 2),
        ("{}-{}".format, (1, 2), "1-2"),
        (functions.norm, (Point(3, 4),), 25),
        (functions.later, (Colour.RED,), "red"),
        (lambda number: number * 2, (4,), 8),
        (_closure(10), (4,), 40),
    ],
)
def test_any_callable_can_be_submitted(
    runtime: Runtime, function: Callable[..., Any], args: tuple[Any, ...], result: Any
) -> None:
    assert runtime.submit(function, *args).result(PATIENCE) == result


def test_what_follows_a_function_in_its_process_is_imported_before(runtime: Runtime, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    runtime.submit(functions.notes_what_it_imports, str(noted)).result(PATIENCE)
    assert noted.read_text() == ""


def test_keyword_arguments_are_the_functions(runtime: Runtime) -> None:
    assert runtime.submit(functions.add, first=1, second=4).result(PATIENCE) == 5


def test_an_async_function_of_a_closure_is_awaited_in_the_task(runtime: Runtime) -> None:
    number = 3

    async def triple(other: int) -> int:
        return number * int(await functions.later(other))

    assert runtime.submit(triple, 4).result(PATIENCE) == 12


def test_instances_of_a_class_of_a_function_go_with_it(runtime: Runtime) -> None:
    class Word:
        def __init__(self, text: str) -> None:
            self.text = text

    def spell(word: Word) -> list[str]:
        assert isinstance(word, Word)
        return list(word.text)

    assert runtime.submit(spell, Word("ab")).result(PATIENCE) == ["a", "b"]


def test_a_function_that_was_defined_again_is_the_new_one(runtime: Runtime) -> None:
    def answer() -> int:
        return 1

    first = runtime.submit(answer)

    def answer() -> int:  # type: ignore[no-redef]
        return 2

    assert (first.result(PATIENCE), runtime.submit(answer).result(PATIENCE)) == (1, 2)


def test_a_function_that_was_replaced_in_its_module_is_the_new_one(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = functions.add
    monkeypatch.setattr(functions, "add", lambda _: "patched")

    assert runtime.submit(functions.add, 1).result(PATIENCE) == "patched"
    assert runtime.submit(before, 1).result(PATIENCE) == 2


def test_code_that_both_sides_know_is_not_sent() -> None:
    known = call_request(functions.norm, [Point(1, 2)], {}, None).call
    unknown = call_request(lambda point: point.x, [Point(1, 2)], {}, None).call

    assert b"cloudpickle" not in known
    assert len(known) < 250
    assert b"submitted_functions" in unknown
    assert b"dataclass" not in unknown


def test_what_unpickles_code_is_imported_once_and_for_hosts_that_send_code_only() -> None:
    with Runtime(standby=0) as runtime:
        assert not runtime.submit(functions.had, "cloudpickle").result(PATIENCE)
        assert runtime.submit(lambda: True).result(PATIENCE)
        assert runtime.submit(functions.had, "cloudpickle").result(PATIENCE)


@pytest.fixture
def by_path(tmp_path: Path) -> Iterator[Any]:
    """A module that was loaded by its path, and is in no folder of the module path."""
    file = tmp_path / "plugin.py"
    file.write_text(
        "BASE = 5\n\n\n"
        "class Thing:\n    size = BASE\n\n\n"
        "def helper(number):\n    return number + BASE\n\n\n"
        "def work(number):\n    return helper(number)\n\n\n"
        "def size(thing):\n    return thing.size\n\n\n"
        "def fails():\n    raise RuntimeError('broken')\n"
    )
    spec = importlib.util.spec_from_file_location("loaded_by_path", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["loaded_by_path"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["loaded_by_path"]


def test_a_module_that_a_task_would_not_find_goes_by_value(runtime: Runtime, by_path: Any) -> None:
    assert runtime.submit(by_path.work, 1).result(PATIENCE) == 6
    assert runtime.submit(by_path.size, by_path.Thing()).result(PATIENCE) == 5
    assert runtime.submit(lambda: by_path.work(2)).result(PATIENCE) == 7
    with pytest.raises(TaskFailed, match=r"(?s)plugin.py.*line 21.*raise RuntimeError") as caught:
        runtime.submit(by_path.fails).result(PATIENCE)
    assert caught.value.reason == "RuntimeError: broken"


# --- what is refused ------------------------------------------------------------------------------------------------


class _Holder:
    def __init__(self, held: Any) -> None:
        self.held = held


def test_what_cannot_be_called_is_refused(runtime: Runtime) -> None:
    with pytest.raises(TypeError, match="submit wants a function, not str"):
        runtime.submit("add", 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("function", [functions.generates, functools.partial(functions.generates)])
def test_a_generator_function_is_refused_at_the_door(runtime: Runtime, function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"generates is a generator function. .* return a list"):
        runtime.submit(function)


def test_a_generator_that_is_returned_fails_the_task(runtime: Runtime) -> None:
    with pytest.raises(TaskFailed, match="Function 'returns_a_generator' returned a generator"):
        runtime.submit(functions.returns_a_generator).result(PATIENCE)


def test_a_result_that_is_not_plain_data_is_told_with_its_place(runtime: Runtime) -> None:
    with pytest.raises(
        TaskFailed, match=r"Function 'returns_a_lock' returned .*: result\['rows'\]\[1\] is of type lock"
    ):
        runtime.submit(functions.returns_a_lock).result(PATIENCE)


def _unsendable() -> Iterator[Any]:
    lock = threading.Lock()
    yield pytest.param(
        (1, lock), {}, r"add cannot be sent .*: argument 2 is a thread lock\. Make it in the function\.", id="a lock"
    )
    yield pytest.param((1, [0, {"a": lock}]), {}, r"argument 2\[1\]\['a'\] is a thread lock", id="a lock in a list")
    yield pytest.param((), {"first": lock}, "argument 'first' is a thread lock", id="a keyword")
    yield pytest.param(
        (_Holder({"deep": lock}),), {}, r"argument 1\.held\['deep'\] is a thread lock", id="an attribute"
    )
    yield pytest.param(
        ((number for number in [1]),), {}, "argument 1 is a generator. Give the function a list", id="a generator"
    )
    yield pytest.param(
        (lambda: lock,), {}, "the variable 'lock' of argument 1 is a thread lock", id="a lambda with a lock"
    )
    yield pytest.param((lambda held=lock: held,), {}, "a default of argument 1, .* is a thread lock", id="a default")
    yield pytest.param(
        (functools.partial(functions.add, lock),), {}, "argument 1 of argument 1 is a thread lock", id="a partial"
    )
    yield pytest.param((_Holder(lock).__repr__,), {}, "argument 1", id="a bound method")
    yield pytest.param((threading.Event(),), {}, r"argument 1\._cond\._lock is a thread lock", id="an event")


@pytest.mark.parametrize(("args", "kwargs", "part"), list(_unsendable()))
def test_what_cannot_be_sent_is_told_with_its_place(
    runtime: Runtime, args: tuple[Any, ...], kwargs: dict[str, Any], part: str
) -> None:
    with pytest.raises(TypeError, match=part):
        runtime.submit(functions.add, *args, **kwargs)


def test_open_files_and_sockets_are_refused_with_a_remedy(runtime: Runtime) -> None:
    with Path(__file__).open() as text, Path(__file__).open("rb") as data, socket.socket() as connection:
        for held in (text, data):
            with pytest.raises(TypeError, match=r"argument 1 is an open file. Give the function its path"):
                runtime.submit(functions.add, held)
        with pytest.raises(TypeError, match="argument 1 is an open socket"):
            runtime.submit(functions.add, connection)


def test_a_variable_that_cannot_be_sent_is_told_with_its_name(runtime: Runtime) -> None:
    lock = threading.Lock()

    def locked() -> bool:
        return lock.acquire()

    with pytest.raises(
        TypeError, match=r"locked cannot be sent .*the variable 'lock' of function 'locked' is a thread"
    ):
        runtime.submit(locked)


def test_tasks_and_runtimes_are_no_arguments(runtime: Runtime) -> None:
    task = runtime.submit(functions.add, 1)

    with pytest.raises(TypeError, match=r"argument 1 is a task. Give the function its result, or its id."):
        runtime.submit(functions.add, task)
    with pytest.raises(TypeError, match="argument 1 is a runtime"):
        runtime.submit(functions.add, runtime)
    task.result(PATIENCE)


def test_an_object_that_refuses_to_be_pickled_is_told_with_its_own_words(runtime: Runtime) -> None:
    class Proud:
        def __reduce__(self) -> str:
            raise RuntimeError("I stay")

    with pytest.raises(TypeError, match=r"argument 1\[0\] is of type .*Proud \(RuntimeError: I stay\)\. Make it"):
        runtime.submit(functions.later, [Proud()])


def test_text_in_memory_is_no_file(runtime: Runtime) -> None:
    assert runtime.submit(lambda text: text.getvalue(), io.StringIO("said")).result(PATIENCE) == "said"


@pytest.mark.parametrize(("keyword", "value"), [("name", "x"), ("key", "k")])
def test_a_keyword_of_submit_that_is_one_of_the_function_is_refused(runtime: Runtime, keyword: str, value: str) -> None:
    with pytest.raises(TypeError, match=rf"{keyword} is a keyword of submit, .*functools\.partial\(named, {keyword}="):
        runtime.submit(functions.named, **{keyword: value})

    given = functools.partial(functions.named, name="x", key=5)
    assert runtime.submit(given).result(PATIENCE) == ["x", 5]


def test_by_name_only_refuses_what_is_of_no_module() -> None:
    assert call_request(functions.add, [1], {}, None, by_value=False).call
    with pytest.raises(TypeError, match="functions of modules only"):
        call_request(lambda: 1, [], {}, None, by_value=False)


# --- one call's own -------------------------------------------------------------------------------------------------


def test_a_task_is_called_as_its_function_or_as_it_was_named(runtime: Runtime) -> None:
    tasks = [
        runtime.submit(functions.add, 1),
        runtime.submit(functools.partial(functions.Account(1).after, 1)),
        runtime.submit(functions.add, 1, name="the sum"),
    ]

    assert [task.agent for task in tasks] == ["add", "Account.after", "the sum"]
    assert [view.agent for view in runtime.wait(tasks)] == ["add", "Account.after", "the sum"]


@pytest.mark.parametrize(("name", "error"), [("", ValueError), (5, TypeError)])
def test_a_name_is_text(runtime: Runtime, name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="name of a task"):
        runtime.submit(functions.add, 1, name=name)


def test_limits_of_one_call_end_it(runtime: Runtime) -> None:
    task = runtime.submit(_waits, limits=Limits(wall_clock=0.2))

    with pytest.raises(TaskFailed, match="wall_clock"):
        task.result(PATIENCE)


def _waits() -> None:
    threading.Event().wait()


def test_limits_are_limits(runtime: Runtime) -> None:
    with pytest.raises(TypeError, match=r"limits is of type dict; give it as Limits\(wall_clock=…\)"):
        runtime.submit(functions.add, 1, limits={"wall_clock": 1})  # type: ignore[arg-type]


def test_a_function_is_started_again_as_its_policy_says(runtime: Runtime, tmp_path: Path) -> None:
    policy = RestartPolicy("transient", max_restarts=5, period=60, backoff=0.0)

    task = runtime.submit(functions.counts_itself, str(tmp_path / "calls"), restart=policy)

    assert task.result(PATIENCE) == 3
    assert task.view().attempts == 3


def test_a_function_works_in_a_folder_of_its_own_if_it_is_to(runtime: Runtime) -> None:
    assert runtime.submit(functions.where).result(PATIENCE) == str(Path.cwd())
    assert runtime.submit(functions.where, workdir="private").result(PATIENCE) != str(Path.cwd())


def test_the_same_key_at_the_same_time_starts_one_process(runtime: Runtime) -> None:
    with ThreadPoolExecutor(8) as pool:
        tasks = list(pool.map(lambda _: runtime.submit(functions.process_id, key="request 7"), range(40)))

    assert len({task.id for task in tasks}) == 1
    assert len({task.result(PATIENCE) for task in tasks}) == 1
    assert runtime.submit(functions.process_id, key="request 8").result(PATIENCE) != tasks[0].result(PATIENCE)


def test_a_stopped_function_has_no_result(runtime: Runtime) -> None:
    task = runtime.submit(_waits)
    task.stop()

    with pytest.raises(TaskStopped):
        task.result(PATIENCE)


# --- what a failure shows -------------------------------------------------------------------------------------------


def test_a_failure_shows_the_functions_own_lines(runtime: Runtime) -> None:
    def fails() -> None:
        raise KeyError("mine")

    with pytest.raises(TaskFailed) as caught:
        runtime.submit(fails).result(PATIENCE)

    assert caught.value.reason == "KeyError: 'mine'"
    assert f'File "{__file__}", line ' in caught.value.traceback
    assert 'raise KeyError("mine")' in caught.value.traceback


def test_a_failure_of_a_library_function_shows_its_lines(runtime: Runtime) -> None:
    with pytest.raises(TaskFailed, match=r"(?s)json.*decoder.py"):
        runtime.submit(__import__("json").loads, "{").result(PATIENCE)


def test_a_failure_in_a_chunk_of_a_map_shows_the_functions_lines_only(runtime: Runtime) -> None:
    with pytest.raises(TaskFailed) as caught:
        list(runtime.map(functions.fails, ["first", "second"], chunksize=2))

    assert caught.value.reason == "ValueError: first"
    assert caught.value.traceback.count("  File ") == 1


def test_a_call_with_the_wrong_arguments_says_so(runtime: Runtime) -> None:
    with pytest.raises(TaskFailed, match=r"add\(\) missing 1 required positional argument: 'first'"):
        runtime.submit(functions.add).result(PATIENCE)


def test_what_a_function_prints_is_its_output(runtime: Runtime) -> None:
    task = runtime.submit(functions.says, "hello")
    task.result(PATIENCE)

    assert task.output() == "hello\n"
