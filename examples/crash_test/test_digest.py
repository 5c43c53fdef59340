"""A crash test of your own program: the fault kit has agents that crash, hang, leak and flood, and yours goes on.

In a clone of the repository:

    pip install . pytest
    pytest examples/crash_test
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from digest import digest
from subactors.runtime import Limits, Runtime
from subactors.runtime.testing import fault_team

FAULTS = {
    "segfault": "ended by SIGSEGV",
    "exit_without_answer": "exit",
    "raise_error": "ValueError",
    "hang_in_c": "The limit wall_clock",
    "leak_memory": "The limit memory",
}
"""What each agent of the fault kit does, and what the reason says."""


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime with the agents of the fault kit, and limits that end those that would not end by themselves."""
    team = fault_team(stop_grace=0.2)
    team["agents"]["hang_in_c"]["limits"] = {"wall_clock": 1}
    team["agents"]["leak_memory"]["limits"] = {"memory": "200MB"}
    with Runtime.from_mapping(team) as runtime:
        yield runtime


def test_a_digest_has_a_line_for_each_agent_whatever_happens_to_the_others(runtime: Runtime) -> None:
    lines = digest(runtime, [*((name, "x") for name in FAULTS), ("echo", "well")]).splitlines()

    assert lines[-1] == "echo: well"
    for line, (name, reason) in zip(lines, FAULTS.items(), strict=False):
        assert line.startswith(f"{name} failed: ")
        assert reason in line


def test_a_limit_of_one_call_ends_that_task_only(runtime: Runtime) -> None:
    greedy = runtime.run("leak_memory", "x", limits=Limits(memory=100_000_000))
    well = runtime.run("echo", "well")

    assert well.result(timeout=30) == "well"
    assert "The limit memory of 100 MB was reached" in runtime.wait([greedy])[0].reason
