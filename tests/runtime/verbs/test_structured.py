"""Structured in and out: the data of a task, checked before it starts, and its result as a program's own classes."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest
import submitted_functions as functions
import typed_entrypoints as typed
from first_forms import first_always
from processes_and_waits import wait_until
from subactors.runtime import AsyncRuntime, NotOfTypeError, Runtime, RuntimeClosedError, TaskFailed

pytestmark = pytest.mark.usefixtures("zygote_for_tasks")

PATIENCE = 30.0

AGENTS = [name for name in typed.__all__ if name[0].islower()]

ROW = {"name": "a", "count": 2, "level": "high", "day": "2026-01-31"}


def _team(module: str = "typed_entrypoints") -> dict[str, Any]:
    return {"agents": {name: {"entrypoint": f"{module}:{name}"} for name in AGENTS}}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """Its entrypoints are in a module that this process has imported."""
    with Runtime.from_mapping(_team(), stop_grace=0.5, max_tasks=10_000, standby=0) as runtime:
        runtime.run("takes_no_data", "begin").result(PATIENCE)  # with all threads there before a test counts them
        yield runtime


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """Its entrypoints are in a module that is beside a team file, and that this process has not imported."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "typed_apart.py").write_text(Path(typed.__file__).read_text())
    agents = "".join(f"  {name}: {{entrypoint: typed_apart:{name}}}\n" for name in AGENTS)
    (folder / "team.yaml").write_text(f"agents:\n{agents}")
    with Runtime.from_file(folder / "team.yaml", stop_grace=0.5, max_tasks=10_000, standby=0) as runtime:
        runtime.run("takes_no_data", "begin").result(PATIENCE)  # with all threads there before a test counts them
        yield runtime


@pytest.fixture(scope="module", params=["imported", "apart"])
def either(request: pytest.FixtureRequest) -> Runtime:
    runtime: Runtime = request.getfixturevalue("runtime" if request.param == "imported" else "apart")
    return runtime


# --- in -------------------------------------------------------------------------------------------------------------


@first_always(
    ("agent", "data", "result"),
    [
        ("by_dataclass", ROW, ["Row", ROW, ROW]),
        ("by_struct", {"name": "i", "rows": [ROW]}, ["Item", {"name": "i", "rows": [ROW]}]),
        ("by_model", {"number": 5}, ["Order", {"number": 5, "tags": []}]),
        ("by_typed_dict", {"key": "k", "value": 1.5}, ["dict", {"key": "k", "value": 1.5}]),
        ("by_list", [ROW, ROW], [["Row", ROW], ["Row", ROW]]),
        ("by_keyword", ROW, ["Row", ROW]),
        ("by_name_only", 5, 5),
        ("untyped", [1, {"a": None}], [1, {"a": None}]),
        ("plain", {"a": [1]}, {"a": [1]}),
    ],
    keep=3,
)
def test_data_comes_as_the_function_wants_it(either: Runtime, agent: str, data: Any, result: Any) -> None:
    assert either.run(agent, "go", data=data).result(PATIENCE) == result


@first_always(
    ("agent", "data", "place"),
    [
        ("by_dataclass", {"name": "a", "count": "two"}, r"Expected `int`, got `str` at data\['count'\]"),
        ("by_dataclass", {"count": 2}, "missing required field `name` at data"),
        ("by_struct", {"name": "i", "rows": [ROW, {**ROW, "level": "no"}]}, r"at data\['rows'\]\[1\]\['level'\]"),
        ("by_list", [ROW, ROW, 5], r"Expected `object`, got `int` at data\[2\]"),
        ("by_model", {"number": 1, "tags": ["a", 5]}, r"valid string at data\['tags'\]\[1\]"),
        ("by_model", {"number": -1}, r"a number is above 0 at data\['number'\]"),
        ("by_typed_dict", {"key": "k", "value": "x"}, r"at data\['value'\]"),
        ("by_keyword", {"name": 1, "count": 1}, r"at data\['name'\]"),
        ("by_name_only", "5", "Expected `int`, got `str` at data"),
    ],
    keep=4,
)
def test_data_of_another_type_is_refused_before_a_task_starts(
    either: Runtime, agent: str, data: Any, place: str
) -> None:
    before = len(either.list())

    with pytest.raises(NotOfTypeError, match=rf"The data for the entrypoint of agent '{agent}' is not .*{place}"):
        either.run(agent, "go", data=data)

    assert len(either.list()) == before


def test_a_module_beside_a_team_file_is_not_imported_to_check_data(apart: Runtime) -> None:
    with pytest.raises(NotOfTypeError):
        apart.run("by_list", "go", data=5)

    assert "typed_apart" not in sys.modules


def test_an_awaited_run_checks_data_too() -> None:
    async def main() -> list[Any]:
        async with AsyncRuntime.from_mapping(_team(), standby=0) as runtime:
            with pytest.raises(NotOfTypeError, match=r"data\['count'\]"):
                await runtime.run("by_dataclass", "go", data={"name": "a", "count": "two"})
            task = await runtime.run("by_dataclass", "go", data=ROW)
            result: list[Any] = await task
            return result

    assert asyncio.run(main()) == ["Row", ROW, ROW]


def test_a_default_stands_in_for_data(either: Runtime) -> None:
    assert either.run("data_or_default", "go").result(PATIENCE) == "default"
    assert either.run("data_or_default", "go", data=ROW).result(PATIENCE) == "a"


def test_missing_data_is_refused_where_the_function_is_known(runtime: Runtime) -> None:
    with pytest.raises(TypeError, match=r"There is no data for 'row', without which the entrypoint of agent 'by_data"):
        runtime.run("by_dataclass", "go")


def test_missing_data_fails_the_task_where_the_function_is_not_known(apart: Runtime) -> None:
    with pytest.raises(TaskFailed, match=r"There is no data for 'row', .* Give it with the task: run\(agent, text, d"):
        apart.run("by_dataclass", "go").result(PATIENCE)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"rows": [1, 2, 3, threading.Lock()]}, r"data\['rows'\]\[3\] is of type lock\. Give text, or None"),
        (float("nan"), r"NaN at data. JSON has no such numbers: give None"),
        ({("a", 1): 2}, r"a key of data is of type tuple\. Give text as keys"),
        ([10**5000], r"data\[0\] is a number of thousands of digits, .* Give it as text"),
    ],
)
def test_data_that_is_not_plain_is_refused_with_its_place(runtime: Runtime, data: Any, place: str) -> None:
    with pytest.raises(TypeError, match=place):
        runtime.run("plain", "go", data=data)


def test_data_that_holds_itself_is_refused(runtime: Runtime) -> None:
    data: list[Any] = []
    data.append(data)

    with pytest.raises(TypeError, match=r"data of the task is not plain data: it is nested too deeply.*\. Give text"):
        runtime.run("plain", "go", data=data)


def test_objects_become_plain_data_at_the_door(runtime: Runtime) -> None:
    assert runtime.run("by_dataclass", "go", data=typed.Row("a", 2)).result(PATIENCE)[0] == "Row"


def test_agents_without_a_parameter_for_data_have_it_in_the_task(either: Runtime) -> None:
    assert either.run("takes_no_data", "go", data=[1]).result(PATIENCE) == "go"


def test_a_module_that_breaks_off_when_it_is_imported_fails_its_task(tmp_path: Path) -> None:
    (tmp_path / "breaks_off.py").write_text("import os\n\nos._exit(3)\n")
    (tmp_path / "team.yaml").write_text("agents: {a: {entrypoint: breaks_off:work}}\n")
    with (
        Runtime.from_file(tmp_path / "team.yaml", standby=0) as runtime,
        pytest.raises(TaskFailed, match="status 3"),
    ):
        runtime.run("a", "go", data=1).result(PATIENCE)


def _write_team_that_waits(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(
        "import os, pathlib, time\n\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / f'{os.getpid()}.began').touch()\n"
        "while not (here / 'go').exists():\n    time.sleep(0.01)\n\n\n"
        "def work(task, number: int):\n    return number\n"
    )
    (tmp_path / "team.yaml").write_text("agents: {a: {entrypoint: waits:work}}\n")


def test_no_more_checks_of_data_run_at_a_time_than_tasks_may(tmp_path: Path) -> None:
    _write_team_that_waits(tmp_path)
    with (
        Runtime.from_file(tmp_path / "team.yaml", standby=0, max_running=2) as runtime,
        ThreadPoolExecutor(6) as threads,
    ):
        checks = runtime._way._data_checks  # type: ignore[attr-defined]  # to know who waits
        starts = [threads.submit(runtime.run, "a", "go", data=number) for number in range(6)]
        wait_until(lambda: len(checks._waiting) == 4, "four to wait")
        wait_until(lambda: len(list(tmp_path.glob("*.began"))) == 2, "two to have begun")
        (tmp_path / "go").touch()

        assert [start.result(PATIENCE).result(PATIENCE) for start in starts] == list(range(6))
        assert checks._at_work == 0
    assert len(list(tmp_path.glob("*.began"))) == 12


def test_whoever_waits_for_a_check_of_data_hears_of_the_runtime_s_end(tmp_path: Path) -> None:
    _write_team_that_waits(tmp_path)
    with (
        Runtime.from_file(tmp_path / "team.yaml", standby=0, max_running=1) as runtime,
        ThreadPoolExecutor(4) as threads,
    ):
        checks = runtime._way._data_checks  # type: ignore[attr-defined]  # to know who waits
        starts = [threads.submit(runtime.run, "a", "go", data=number) for number in range(4)]
        wait_until(lambda: len(checks._waiting) == 3, "three to wait")
        runtime.close()

        assert [type(start.exception(PATIENCE)) for start in starts] == [RuntimeClosedError] * 4


# --- out ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "result"),
    [
        (ROW, typed.Row, typed.Row("a", 2, typed.Level.HIGH, dt.date(2026, 1, 31))),
        ([ROW], list[typed.Row], [typed.Row("a", 2, typed.Level.HIGH, dt.date(2026, 1, 31))]),
        ({"number": 5}, typed.Order, typed.Order(number=5)),
        ([{"number": 5}], list[typed.Order], [typed.Order(number=5)]),
        ({"a": {"number": 5}}, dict[str, typed.Order], {"a": typed.Order(number=5)}),
        ({"order": {"number": 5}}, typed.Invoice, typed.Invoice(typed.Order(number=5))),
        ({"key": "k", "value": 1}, typed.Entry, {"key": "k", "value": 1.0}),
        ("high", typed.Level, typed.Level.HIGH),
        ("2026-01-31", dt.date, dt.date(2026, 1, 31)),
        ("/a/b", Path, Path("/a/b")),
        ([1, 2], tuple[int, int], (1, 2)),
        (None, int | None, None),
        (5, float, 5.0),
    ],
)
def test_a_result_is_decoded_as_a_type(runtime: Runtime, value: Any, kind: Any, result: Any) -> None:
    decoded = runtime.submit(functions.later, value).result(PATIENCE, type=kind)

    assert decoded == result
    assert type(decoded) is type(result)


@pytest.mark.parametrize(
    ("value", "kind", "place"),
    [
        ([ROW, {**ROW, "count": None}], list[typed.Row], r"list\[.*Row\] takes: .*result\[1\]\['count'\]"),
        ([{"number": 1}, {"number": "x"}], list[typed.Order], r"result\[1\]\['number'\]"),
        ({"order": {"number": 0}}, typed.Invoice, "a number is above 0 at .*"),
        ("no", typed.Level, "Invalid enum value 'no' at result"),
        ("yesterday", dt.date, "at result"),
        ({"key": "k"}, typed.Entry, "missing required field `value` at result"),
    ],
)
def test_a_result_of_another_type_is_told_with_its_place(runtime: Runtime, value: Any, kind: Any, place: str) -> None:
    task = runtime.submit(functions.later, value)

    with pytest.raises(NotOfTypeError, match=rf"The result of {task} \(later\) is not what .*{place}"):
        task.result(PATIENCE, type=kind)

    assert task.result() == value


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    number: int


class _StrictModel(pydantic.BaseModel, extra="forbid"):
    number: int


def test_fields_that_a_type_does_not_have_are_left_out(runtime: Runtime) -> None:
    task = runtime.submit(functions.later, {**ROW, "number": 5, "more": 1})

    assert task.result(PATIENCE, type=typed.Row) == typed.Row("a", 2, typed.Level.HIGH, dt.date(2026, 1, 31))
    assert task.result(PATIENCE, type=typed.Order) == typed.Order(number=5)


@pytest.mark.parametrize("kind", [_Strict, _StrictModel])
def test_a_type_may_refuse_fields_that_it_does_not_have(runtime: Runtime, kind: type) -> None:
    task = runtime.submit(functions.later, {"number": 5, "more": 1})

    with pytest.raises(NotOfTypeError, match="more"):
        task.result(PATIENCE, type=kind)


def test_a_type_that_no_data_can_become_is_an_error_of_the_program(runtime: Runtime) -> None:
    with pytest.raises(TypeError, match="Nothing can be decoded as Thread: Thread is a class whose fields"):
        runtime.submit(functions.later, 1).result(PATIENCE, type=threading.Thread)
