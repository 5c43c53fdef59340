"""A team with an agent that has others do many items by one call, and how a test does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from subactors.runtime import OrchestratorTools, Runtime, TaskView, ToolAnswer
from teams import call, entrypoint, model

PATIENCE = 60.0

WORKERS = [
    "shouts",
    "measures",
    "minds_itself",
    "fails_without_its_file",
    "counts_its_siblings",
    "spends",
    "asks",
    "is_large",
]


def fan_out_team() -> dict[str, Any]:
    toolset = {"type": "background_agents", "fan_out": True, "schema": True, "limits": True}
    return {
        "agents": {
            **{name: {"entrypoint": f"item_workers:{name}"} for name in WORKERS},
            "echo": entrypoint("echo"),
            "boss": model("follows_a_plan", sub_agents=[*WORKERS, "planner"], toolsets=[toolset]),
            "hasty_boss": model("follows_a_plan", sub_agents=WORKERS, toolsets=[{**toolset, "on_finish": "stop"}]),
            "plain_boss": model("follows_a_plan", sub_agents=WORKERS, toolsets=[{"type": "background_agents"}]),
            "planner": model("follows_a_plan"),
        }
    }


def map_items(toolset: OrchestratorTools, **arguments: Any) -> ToolAnswer:
    return call(toolset, "map_background_agent", **arguments)


def started(toolset: OrchestratorTools, **arguments: Any) -> str:
    answer = map_items(toolset, **arguments)
    assert not answer.is_error, answer.text
    task_id: str = answer.data["task_id"]
    return task_id


def ended(runtime: Runtime, toolset: OrchestratorTools, **arguments: Any) -> TaskView:
    (view,) = runtime.wait([started(toolset, **arguments)], timeout=PATIENCE)
    return view


def lines_of(view: TaskView) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(view.result["file"]).read_text().splitlines()]
