"""A process that a task's own code forks is not the task: it never speaks for it, nor goes on as it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import forking_entrypoints
import pytest
from subactors.actors import ProcessSystem
from subactors.runtime import Runtime
from teams import run_and_wait


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    agents = {
        name: {"entrypoint": f"forking_entrypoints:{name}"} for name in ("emits", "comes_back", "comes_back_async")
    }
    with Runtime.from_mapping({"agents": agents}, standby=0, **place) as runtime:
        run_and_wait(runtime, "comes_back", "returns")
        yield runtime


def log_of(runtime: Runtime, task_id: str) -> str:
    return (runtime._host.folder.log / f"{task_id}.log").read_text()


def test_what_a_forked_process_emits_is_the_log_and_tears_nothing(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "emits")

    assert (view.status, view.reason, view.result) == ("completed", "", 7)
    assert view.output == "p" * 20_000 * 100
    assert log_of(runtime, view.id) == "f" * 20_000 * 100


@pytest.mark.parametrize(("how", "status"), forking_entrypoints.WAYS.items())
def test_a_forked_process_that_comes_back_ends_as_a_program_does(runtime: Runtime, how: str, status: int) -> None:
    view = run_and_wait(runtime, "comes_back", how)

    assert (view.status, view.reason, view.result) == ("completed", "", status)
    assert not view.output


def test_what_a_forked_process_raises_is_in_the_log(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "comes_back", "raises")

    assert "ValueError: in the fork" in log_of(runtime, view.id)


def test_a_coroutine_may_fork_too(runtime: Runtime) -> None:
    assert run_and_wait(runtime, "comes_back_async").result == 0


def test_a_process_that_an_actor_has_forked_neither_answers_nor_speaks(
    system: ProcessSystem,
) -> None:
    del system  # which `start` uses
    proxy = forking_entrypoints.actor()

    assert proxy.come_back().get() == 0
    assert proxy.speak().get() == 5
    proxy.stop().get()
