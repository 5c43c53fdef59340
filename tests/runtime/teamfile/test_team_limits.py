"""Reading `limits` and `restart` of a team file: values, units, and what the complaints say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from subactors.actors import RestartPolicy
from subactors.runtime import Limits
from subactors.runtime.teamfile.load import check_team, team_from_mapping
from team_mapping import problem, problems, team


def limits(**given: Any) -> Limits:
    """The limits of an agent that is given these."""
    return team(a={"limits": given}).agents["a"].limits


def restart(given: Any) -> RestartPolicy:
    """The restart policy of an agent that is given this."""
    return team(a={"restart": given}).agents["a"].restart


def test_every_limit_can_be_given() -> None:
    values: dict[str, Any] = {
        "wall_clock": 90.5,
        "cpu": 10.0,
        "memory": 500_000_000,
        "processes": 5,
        "output": 1000,
        "tokens": 1_000_000,
        "cost": 2.5,
        "iterations": 50,
    }
    assert limits(**values) == Limits(**values)
    assert set(values) == {field.name for field in msgspec.structs.fields(Limits)}


@pytest.mark.parametrize("given", [None, {}])
def test_no_limits_are_no_limits(given: object) -> None:
    assert team(a={"limits": given}).agents["a"].limits == Limits()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 512_000_000),
        ("512 MB", 512_000_000),
        ("512mb", 512_000_000),
        ("1.5GB", 1_500_000_000),
        ("1GiB", 2**30),
        ("64MiB", 2**26),
        ("20000KiB", 20_000 * 2**10),
        ("20000kB", 20_000_000),
        ("2G", 2_000_000_000),
        ("20000000", 20_000_000),
        ("20000000B", 20_000_000),
        (20_000_000, 20_000_000),
    ],
)
def test_a_size_is_a_number_of_bytes_or_has_a_unit(text: object, size: int) -> None:
    assert limits(memory=text).memory == size
    assert limits(output=text).output == size


@pytest.mark.parametrize("text", ["much", "5 XB", "-5MB", "1e9", "MB", "", "1,000MB", "5MB/s", "5MB", "0"])
def test_what_is_no_size_or_too_little_memory_for_a_process_is_refused(text: str) -> None:
    found = problem("agents.a.limits.memory", a={"limits": {"memory": text}})
    assert found.startswith(f"'{text}' is not a size of at least 10,000,000 bytes.")
    assert "512MB, 2GB, 1GiB" in found


@pytest.mark.parametrize("name", ["wall_clock", "cpu", "memory", "processes", "output", "tokens", "cost", "iterations"])
@pytest.mark.parametrize("value", [0, -1, True, [1], float("nan"), float("inf")])
def test_a_limit_that_is_no_number_above_zero_is_refused(name: str, value: object) -> None:
    assert "This must be a" in problem(f"agents.a.limits.{name}", a={"limits": {name: value}})


@pytest.mark.parametrize("name", ["tokens", "memory", "wall_clock", "cost"])
def test_a_limit_above_all_bounds_is_a_problem(name: str) -> None:
    assert "This is above 10^15" in problem(f"agents.a.limits.{name}", a={"limits": {name: 10**16}})


def test_several_wrong_limits_are_as_many_problems() -> None:
    found = problems(a={"limits": {"wall_clok": 5, "max_iterations": 5, "tokens": "many"}})
    assert [path for path, _ in found] == [
        "agents.a.limits.wall_clok",
        "agents.a.limits.max_iterations",
        "agents.a.limits.tokens",
    ]
    (_, misspelt), (_, misplaced), (_, wrong) = found
    assert "Did you mean `wall_clock`?" in misspelt
    assert "It belongs in the agent, or here as `iterations`." in misplaced
    assert "a whole number of at least 1, not text" in wrong


def test_limits_of_all_tasks_are_a_setting() -> None:
    found = team(runtime={"limits": {"memory": "1GB"}, "max_running": 5})
    assert found.settings.limits == Limits(memory=1_000_000_000)
    assert found.agents["a"].limits == Limits()


def test_wrong_limits_of_all_tasks_are_refused_too() -> None:
    assert "not a size" in problem("runtime.limits.output", runtime={"limits": {"output": "lots"}})
    assert "This must be a mapping" in problem("runtime.limits", runtime={"limits": 5})


def test_an_agents_own_limits_go_over_those_of_all() -> None:
    assert Limits(cpu=1.0, tokens=5).over(Limits(cpu=2.0, output=7)) == Limits(cpu=1.0, tokens=5, output=7)


def test_a_policy_may_be_given_by_its_name() -> None:
    assert restart("transient") == RestartPolicy("transient")
    assert restart("permanent") == RestartPolicy("permanent")
    assert restart("temporary") == restart(None) == RestartPolicy()


def test_a_policy_may_be_given_with_its_numbers() -> None:
    given = {"policy": "transient", "max_restarts": 0, "period": 5, "backoff": 0, "max_backoff": 2.5}
    assert restart(given) == RestartPolicy("transient", max_restarts=0, period=5.0, backoff=0.0, max_backoff=2.5)


def test_durations_may_have_units_wherever_there_are_seconds() -> None:
    policy = restart({"policy": "transient", "period": "1m", "backoff": "500ms", "max_backoff": "0s"})
    assert policy == RestartPolicy("transient", period=60.0, backoff=0.5, max_backoff=0.0)

    toolsets = [{"type": "shell", "timeout": "1m30s"}, {"type": "mcp", "command": "x", "startup_timeout": "2m"}]
    agents = {"a": {"model": "openai/x", "toolsets": toolsets, "limits": {"wall_clock": "1.5h", "cpu": "30s"}}}
    read = team_from_mapping({"agents": agents, "runtime": {"stop_grace": "0s", "stall_after": " 2m "}})

    assert [toolset.options.get("timeout") for toolset in read.agents["a"].toolsets] == [90.0, None]
    assert read.agents["a"].toolsets[1].options["startup_timeout"] == 120.0
    assert read.agents["a"].limits == Limits(wall_clock=5400.0, cpu=30.0)
    assert (read.settings.stop_grace, read.settings.stall_after) == (0.0, 120.0)


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        ("always", "restart", "no restart policy 'always'"),
        ({"policy": "always"}, "restart.policy", "Use one of: temporary, transient, permanent."),
        ({"max_restarts": 3}, "restart", "There is no `policy` here."),
        ({"policy": "transient", "max_restarts": -1}, "restart.max_restarts", "a whole number of at least 0"),
        ({"policy": "transient", "period": 0}, "restart.period", "a number above 0"),
        ({"policy": "transient", "backoff": "1 day"}, "restart.backoff", "'1 day' is not a duration."),
        ({"policy": "transient", "period": "0s"}, "restart.period", "a duration above 0"),
        ({"policy": "transient", "max_backof": 1}, "restart.max_backof", "Did you mean `max_backoff`?"),
        ({"polcy": "transient"}, "restart.polcy", "Did you mean `policy`?"),
        (5, "restart", "This must be"),
        (["transient"], "restart", "This must be"),
        (True, "restart", "This must be"),
    ],
)
def test_a_wrong_policy_is_refused(given: object, path: str, words: str) -> None:
    assert words in problem(f"agents.a.{path}", a={"restart": given})


def test_problems_of_limits_and_policies_have_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "team.yaml"
    path.write_text(
        "agents:\n"
        "  a:\n"
        "    model: openai/gpt-4o\n"
        "    limits:\n"
        "      cpu: 5\n"
        "      memory: 5 apples\n"
        "    restart:\n"
        "      policy: sometimes\n"
        "runtime:\n"
        "  limits:\n"
        "    tokens: 0\n"
    )
    nothing, found = check_team(path)
    assert nothing is None
    assert [(problem.line, problem.path) for problem in found] == [
        (6, "agents.a.limits.memory"),
        (8, "agents.a.restart.policy"),
        (11, "runtime.limits.tokens"),
    ]


def test_a_key_of_another_place_is_told_where_it_belongs() -> None:
    assert "It belongs under `runtime`." in problem("max_running", max_running=3)
    assert "It belongs under `runtime` or in an agent." in problem("limits", limits={})
    assert "It belongs in a model, under `models`." in problem("agents.a.temperature", a={"temperature": 0})
    assert "It belongs at the top of the file." in problem("runtime.models", runtime={"models": {}})
