"""JSON: what commands print fits its schemas, and the same thing has the same keys everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from command_line import subactors, write_team
from live_runs import live_run
from processes_and_waits import wait_until
from run_folders import subactors as on_root
from subactors.runtime import NodeView, Runtime
from subactors.runtime.cli.json_schemas import SCHEMAS, schema_of
from teams import entrypoint_team, run_and_wait, speaking

PROMPT: Final = "fail"

SAID: Final = "".join(f"line {number} of what a task has said\n" for number in range(30))
LAST: Final = "".join(SAID.splitlines(keepends=True)[-12:])
"""Its last lines of no more than 400 bytes together."""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What commands printed, in a folder with a run of each kind, by the name of the schema."""
    folder = write_team(tmp_path_factory.mktemp("team"))
    root = folder / "state"
    state = ("--state-dir", str(root), "--json")
    said: dict[str, str] = {
        "run": subactors(folder, "run", "team.yaml", PROMPT, *state).stdout,
        "dispatch": subactors(
            folder, "dispatch", "team.yaml", "greeter", "--max-running", "1", "a", "b", *state
        ).stdout,
    }
    said["run"] += subactors(folder, "run", "team.yaml", "raise", *state).stdout
    team = entrypoint_team(asks={"entrypoint": "asking_entrypoints:asks"})
    with Runtime.from_mapping(team, state_dir=root, standby=0, max_running=2) as runtime:
        ended = run_and_wait(runtime, "report")
        stopped, asking, queued = (
            speaking(runtime, "says_its_text", SAID),
            runtime.run("asks", "Really?"),
            runtime.run("echo", "x"),
        )
        wait_until(lambda: asking.view().questions, "it asks")
        said["tell"] = "".join(
            on_root("tell", task, "Go on.", "--json", root=root).stdout for task in (ended.id, queued.id)
        )
        said["ps"] = on_root("ps", "--all", "--json", root=root).stdout
        said["view"] = on_root("view", stopped, "--json", root=root).stdout
        said["view --follow"] = on_root("view", "-f", ended.id, "--json", root=root).stdout
        said["wait"] = on_root("wait", ended.id, "--json", root=root).stdout
        said["stop"] = on_root("stop", stopped, "--json", root=root).stdout
        said["view --follow"] += on_root("view", "-f", stopped, "--json", root=root).stdout
        said["answer"] = on_root("answer", asking.id, "yes", "--json", root=root).stdout
        said["wait"] += on_root("wait", stopped, "--json", root=root).stdout
    said["ps"] += on_root("ps", "--all", "--json", root=root).stdout
    said["wait"] += on_root("wait", stopped, "--json", root=root).stdout
    (folder / "wrong.yaml").write_text("agents: {root: 1}\ngroups: {}\n")
    (folder / "noted.yaml").write_text(
        f"{(folder / 'team.yaml').read_text()}  far: {{model: ollama/none}}\nruntime: {{preload: [nowhere]}}\n"
    )
    said["check"] = "".join(
        subactors(folder, "check", team, "--ping", "--json").stdout for team in ("wrong.yaml", "noted.yaml")
    )
    said["doctor"] = subactors(folder, "doctor", *state).stdout
    bench = ("--function", "math:factorial", "--tasks", "1", "--repeat", "1", "--against", "none", "9")
    said["bench"] = subactors(folder, "bench", *bench, *state).stdout
    said["runs"] = on_root("runs", "--json", root=root).stdout
    with live_run(tmp_path_factory.mktemp("nodes")) as run:
        run.nodes = {"box1": NodeView(place="lab", name="box1", state="serving", silent=0.1, memory_available=10**9)}
        said["nodes"] = on_root("nodes", "--json", root=run.folder.path.parent).stdout
        said["drain"] = on_root("drain", "box1", "--json", root=run.folder.path.parent).stdout
    said["prune"] = on_root("prune", "--older-than", 0, "--json", root=root).stdout
    return {name: [json.loads(line) for line in text.splitlines()] for name, text in said.items()}


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name not in {"resume", "demo"}])
def test_what_a_command_prints_fits_its_schema(printed: dict[str, list[Any]], name: str) -> None:
    schema = schema_of(name)
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    checker.check_schema(schema)
    assert printed[name]
    assert [error.message for line in printed[name] for error in checker.iter_errors(line)] == []


def test_check_has_a_line_for_each_agent_and_each_problem_and_what_to_know(printed: dict[str, list[Any]]) -> None:
    lines = printed["check"]

    assert [line["path"] for line in lines if line["kind"] == "problem"] == ["agents.root", "groups"]
    verdicts = {line["agent"]: line["verdict"] for line in lines if line["kind"] == "agent"}
    assert verdicts == dict.fromkeys(["root", "greeter", "failing", "patient", "pair", "far"], "would run")
    assert [line["model"] for line in lines if line["kind"] == "model"] == ["ollama/none"]
    assert ["nowhere" in line["text"] for line in lines if line["kind"] == "note"] == [True]


def test_tell_and_answer_say_what_became_of_it(printed: dict[str, list[Any]]) -> None:
    assert [line["outcome"] for line in printed["tell"]] == ["ended", "queued"]
    assert [line["question_id"][:9] for line in printed["answer"]] == ["question_"]


def test_a_key_too_many_or_too_few_does_not_fit(printed: dict[str, list[Any]]) -> None:
    checker = jsonschema.Draft202012Validator(schema_of("ps"))
    task = printed["ps"][0]

    assert not checker.is_valid({**task, "more": 1})
    assert not checker.is_valid({key: value for key, value in task.items() if key != "reason"})


def test_a_task_has_the_same_keys_in_every_command(printed: dict[str, list[Any]]) -> None:
    tasks = [line.get("task") if isinstance(line.get("task"), dict) else line for line in _lines(printed)]

    assert len({frozenset(task) for task in tasks if "usage" in task}) == 1


def test_the_output_of_a_task_is_its_last_lines_in_every_command_but_view(printed: dict[str, list[Any]]) -> None:
    tasks = {
        name: [task for line in lines if (task := line.get("task", line) if "event" in line else line)]
        for name, lines in printed.items()
    }
    outputs = {
        name: [task["output"] for task in found if isinstance(task, dict) and task.get("agent") == "says_its_text"]
        for name, found in tasks.items()
    }

    assert {name: found for name, found in outputs.items() if found} == {
        "ps": [LAST, LAST],
        "view": [SAID],
        "view --follow": [LAST],
        "wait": [LAST, LAST],
        "stop": [LAST],
    }


def test_every_event_has_a_time_and_a_cursor(printed: dict[str, list[Any]]) -> None:
    events = [line for line in _lines(printed) if "event" in line]

    assert {"text", "answer", "failed", "queued", "started", "output", "tool_call", "ended"} <= {
        event["event"] for event in events
    }
    assert all(event.keys() >= {"time", "cursor"} for event in events)
    assert all("task" in event or "task_id" in event for event in events)


def test_every_key_of_a_task_is_explained() -> None:
    task = schema_of("ps")["$defs"]["Task"]["properties"]

    assert [key for key, value in task.items() if not value.get("description")] == []
    assert [key for key, value in task.items() if key.endswith("_at") and value.get("format") != "date-time"] == []


def test_a_schema_is_printed(tmp_path: Path) -> None:
    done = subactors(tmp_path, "schema", "--of", "view --follow")
    wrong = subactors(tmp_path, "schema", "--of", "vew")

    assert json.loads(done.stdout) == schema_of("view --follow")
    assert "There is no schema 'vew'. Did you mean 'view'?" in wrong.stderr


def _lines(printed: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for lines in printed.values():
        yield from lines
