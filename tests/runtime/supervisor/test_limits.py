"""Limits: each ends its own task only, with a reason that names the limit, its value and what was reached."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from model_server import Calls, ModelServer, Request, Text
from processes_and_waits import is_gone, wait_until
from subactors.runtime import Limits, Runtime, TaskView
from teams import PATIENCE, entrypoint, entrypoint_team, model, run_and_wait, speaking


def greedy(function: str, **limits: Any) -> dict[str, Any]:
    """An agent that is a function of `greedy_entrypoints`, with limits."""
    return {"entrypoint": f"greedy_entrypoints:{function}", "limits": limits}


TEAM: dict[str, Any] = {
    "agents": {
        "wall_clock": greedy("waits", wall_clock=0.5),
        "wall_clock of a deaf one": greedy("deaf", wall_clock=0.5),
        "cpu": greedy("computes", cpu=0.3),
        "cpu of a tree": greedy("has_others_compute", cpu=0.3),
        "memory": greedy("allocates", memory="300MB"),
        "memory of a tree": greedy("has_others_allocate", memory="150MB"),
        "memory in a descriptor": greedy("fills_a_memfd", memory="150MB"),
        "memory that is shared": greedy("shares_memory", memory="150MB"),
        "cpu of children that nobody reaps": greedy("has_unreaped_children_compute", cpu=1),
        "processes": greedy("forks", processes=3),
        "output": greedy("says_without_end", output="20kB"),
        "talkative": entrypoint("floods", limits={"output": "10kB"}),
        "iterations": model("thinks_without_end", toolsets=[{"type": "think"}], limits={"iterations": 4}),
        "roomy": greedy("forks", processes=10, cpu=60, memory="1GB", output=1000, wall_clock=600),
        "waits": entrypoint("waits_for_file"),
        "echo": entrypoint("echo", limits={"output": 1, "wall_clock": 600}),
    }
}


@pytest.fixture(scope="module")
def runtime(place: dict[str, Any]) -> Iterator[Runtime]:
    with Runtime.from_mapping(TEAM, stop_grace=0.3, max_tasks=1000, standby=0, **place) as runtime:
        run_and_wait(runtime, "echo", "warm up")
        yield runtime


def number(pattern: str, reason: str) -> float:
    """The number in a reason that must be as the pattern says."""
    found = re.fullmatch(pattern, reason)
    assert found, reason
    return float(found[1])


@pytest.mark.parametrize(
    ("agent", "reason", "least"),
    [
        ("wall_clock", r"The limit wall_clock of 0\.5 s was reached: it had run for ([\d.]+) s\.", 0.5),
        ("wall_clock of a deaf one", r"The limit wall_clock of 0\.5 s was reached: it had run for ([\d.]+) s\.", 0.5),
        ("cpu", r"The limit cpu of 0\.3 s was reached: (?:its tree|it) had used ([\d.]+) s of CPU time\.", 0.3),
        ("cpu of a tree", r"The limit cpu of 0\.3 s was reached: its tree had used ([\d.]+) s of CPU time\.", 0.3),
        ("memory of a tree", r"The limit memory of 150 MB was reached: its tree used ([\d.]+) MB\.", 150),
        ("memory in a descriptor", r"The limit memory of 150 MB was reached: its tree used ([\d.]+) MB\.", 150),
        ("memory that is shared", r"The limit memory of 150 MB was reached: its tree used ([\d.]+) MB\.", 150),
        (
            "cpu of children that nobody reaps",
            r"The limit cpu of 1 s was reached: its tree had used ([\d.]+) s of CPU time\.",
            1,
        ),
        ("processes", r"The limit processes of 3 was reached: its tree had ([\d]+)\.", 4),
        ("iterations", r"The limit iterations of (4) was reached: it had taken 4 turns without a final answer\. .*", 4),
    ],
)
def test_a_limit_ends_its_task_with_a_reason_and_no_other(
    runtime: Runtime, tmp_path: Path, agent: str, reason: str, least: float
) -> None:
    sibling = speaking(runtime, "waits", str(tmp_path / "end"))

    view = run_and_wait(runtime, agent, "5")

    assert view.status == "failed"
    assert number(reason, view.reason) >= least
    assert runtime.view(sibling).status == "running"
    (tmp_path / "end").touch()
    (ended,) = runtime.wait([sibling], timeout=PATIENCE)
    assert (ended.status, ended.result) == ("completed", "the file is there")


def test_an_allocation_beyond_the_limit_fails_and_that_ends_the_task(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "memory")

    assert (view.status, view.output) == ("failed", "so far ")
    assert view.reason == "The limit memory of 300 MB was reached: an allocation beyond it failed."


def test_output_up_to_the_limit_is_kept_and_more_ends_the_task(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "output")

    assert view.status == "failed"
    assert view.reason == "The limit output of 20 kB was reached: it went on saying more."
    assert view.output_size == 20_000
    assert view.output == ("x" * 999 + "\n") * 20


def test_a_task_that_answers_after_it_has_said_too_much_is_failed_and_keeps_its_answer(runtime: Runtime) -> None:
    views = [run_and_wait(runtime, "talkative", "20") for _ in range(10)]

    assert {view.status for view in views} == {"failed"}
    assert {view.reason for view in views} == {"The limit output of 10 kB was reached: it went on saying more."}
    assert {view.output_size for view in views} == {10_000}
    assert {view.result for view in views} <= {None, "said"}


def test_all_that_a_limited_task_has_started_ends_with_it(runtime: Runtime) -> None:
    view = run_and_wait(runtime, "processes", "5")

    pids = [int(pid) for pid in view.output.split()]
    assert len(pids) >= 3
    assert all(map(is_gone, pids))


def test_what_stays_within_its_limits_is_left_alone(runtime: Runtime) -> None:
    task_id = speaking(runtime, "roomy", "3")
    wait_until(lambda: (runtime.view(task_id).vitals or _nothing()).processes == 4, "it was looked at", limit=PATIENCE)

    view = runtime.stop(task_id)[0]

    assert (view.status, view.result) == ("stopped", "nobody ended it")


class _nothing:  # noqa: N801 - stands for vitals that are not there yet
    processes = 0


def test_a_stop_while_a_limit_ends_the_task_changes_nothing_about_the_reason(runtime: Runtime) -> None:
    task_id = runtime.run("wall_clock of a deaf one", "go")
    wait_until(lambda: runtime.view(task_id).status == "stopping", "the limit is reached", limit=PATIENCE)

    view = runtime.stop(task_id)[0]

    assert view.status == "failed"
    assert view.reason.startswith("The limit wall_clock of 0.5 s was reached")


def test_tokens_of_all_turns_together_are_limited(place: dict[str, Any]) -> None:
    thoughts = itertools.count()

    def think(request: Request) -> Calls | Text:
        del request
        return Calls(("think", {"thought": f"thought {next(thoughts)}"}))

    with ModelServer(think) as server:
        agent = {
            "model": "talker",
            "toolsets": [{"type": "think"}],
            "limits": {"tokens": 100},
        }
        models = {"talker": {"provider": "openai", "model": "m", "base_url": server.base_url, "token_key": "KEY"}}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KEY", "sk-of-a-test")
            with Runtime.from_mapping({"agents": {"a": agent}, "models": models}, standby=0, **place) as runtime:
                view = run_and_wait(runtime, "a")

    assert view.status == "failed"
    used = number(r"The limit tokens of 100 was reached: it had used ([\d,]+)\.", view.reason)
    assert used > 100
    assert used <= view.usage.input_tokens + view.usage.output_tokens


# --- whose limit counts ---------------------------------------------------------------------------------------------


def limited(agent: dict[str, Any], team: dict[str, Any] | None = None, **settings: Any) -> TaskView:
    """Run an agent that says more than any limit here, and return how that ended."""
    mapping = {"agents": {"a": {**entrypoint("floods"), **agent}}, "runtime": team or {}}
    with Runtime.from_mapping(mapping, **settings) as runtime:
        return run_and_wait(runtime, "a", "100")


@first_always(
    ("agent", "team", "settings", "size"),
    [
        ({"limits": {"output": 3000}}, {}, {}, 3000),
        ({}, {"limits": {"output": 4000}}, {}, 4000),
        ({}, {}, {"limits": {"output": 5000}}, 5000),
        ({}, {}, {"limits": Limits(output=6000)}, 6000),
        ({"limits": {"output": 3000}}, {"limits": {"output": 1000}}, {}, 3000),
        ({"limits": {"output": 3000}}, {}, {"limits": {"output": 1000}}, 3000),
        ({}, {"limits": {"output": 1000}}, {"limits": {"output": 5000}}, 5000),
        ({"limits": {"wall_clock": 600}}, {"limits": {"output": 4000}}, {}, 4000),
    ],
    keep=4,
    ids=[
        "the agent's",
        "the team file's",
        "the host's as a mapping",
        "the host's",
        "the agent's before the team's",
        "the agent's before the host's",
        "the host's before the team's",
        "the agent has another",
    ],
)
def test_limits_come_from_the_agent_or_else_from_the_host_or_else_from_the_team(
    agent: dict[str, Any], team: dict[str, Any], settings: dict[str, Any], size: int
) -> None:
    view = limited(agent, team, **settings)
    assert (view.status, view.output_size) == ("failed", size)


def test_without_limits_nothing_is_limited(place: dict[str, Any]) -> None:
    assert limited({}, **place).output_size == 100_000


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"outputs": 5}, "outputs"),
        ({"output": "much"}, "int"),
        ({"cpu": "1"}, "float"),
        (5, "object"),
        ({"output": -1}, "limit output is -1; it must be above 0"),
        ({"tokens": 10**30}, "limit tokens is .*; it must be above 0, and at most 10"),
        ({"cpu": 1e300}, "limit cpu is .*; it must be above 0, and at most 10"),
        ({"wall_clock": 0}, "limit wall_clock is 0"),
        ({"cpu": float("nan")}, "limit cpu is nan"),
    ],
)
def test_limits_of_the_host_that_mean_nothing_are_refused(limits: object, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Runtime.from_mapping(entrypoint_team(), limits=limits).close()


def test_a_limit_that_nothing_could_keep_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="limit memory is 0; it must be above 0"):
        Limits(memory=0)
