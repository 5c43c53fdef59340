"""What a task does with `multiprocessing` in its process, behind its fence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from subactors.runtime import Runtime
from teams import run_and_wait

SEGMENTS = Path("/dev/shm")  # noqa: S108 - where Linux has them


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    agents = {name: {"entrypoint": f"sharing_entrypoints:{name}"} for name in ("share", "leave_a_segment")}
    with Runtime.from_mapping({"agents": agents}, standby=0, stop_grace=0.5) as runtime:
        run_and_wait(runtime, "leave_a_segment")
        yield runtime


@pytest.mark.parametrize("method", ["fork", "spawn", "context"])
def test_a_task_shares_with_processes_of_its_own(runtime: Runtime, method: str) -> None:
    view = run_and_wait(runtime, "share", method)
    assert (view.result, view.reason) == ([["inside"], "from a process", 0], "")


def test_a_segment_that_a_task_leaves_is_gone_with_the_task(runtime: Runtime) -> None:
    name = run_and_wait(runtime, "leave_a_segment").result
    assert isinstance(name, str)
    wait_until(lambda: not (SEGMENTS / name).exists(), f"{name} is gone")
