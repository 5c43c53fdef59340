"""Draws docs/pictures/timeline.svg: a run of a small team of functions, of which some wait, and one is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).parents[1] / "docs" / "pictures" / "timeline.svg"

TEAM: Final = {
    "runtime": {"max_running": 4},
    "agents": {
        "coordinator": {
            "model": "python/draw_timeline:coordinate",
            "sub_agents": ["researcher", "reader", "converter"],
            "toolsets": [{"type": "background_agents"}],
        },
        "researcher": {
            "model": "python/draw_timeline:research",
            "sub_agents": ["reader"],
            "toolsets": [{"type": "background_agents"}],
        },
        "reader": {"model": "python/draw_timeline:read", "toolsets": [{"type": "shell"}]},
        "converter": {
            "model": "python/draw_timeline:be_killed",
            "toolsets": [{"type": "shell"}],
            "restart": {"policy": "transient", "max_restarts": 1, "backoff": 0.4},
        },
    },
}


def _calls(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for number, (name, given) in enumerate(calls)
        ],
    }


def _start(*agents: str) -> dict[str, Any]:
    return _calls(*(("run_background_agent", {"agent": agent, "task": "Go."}) for agent in agents))


def _turn(messages: list[dict[str, Any]]) -> int:
    return sum(message["role"] == "assistant" for message in messages)


def coordinate(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Start the others and wait."""
    time.sleep(0.3)
    answers = [_start("researcher", "converter", "reader"), _calls(("wait_background_agents", {})), "Done."]
    return answers[min(_turn(messages), 2)]


def research(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Start readers, and wait for one."""
    time.sleep(0.5)
    answers = [_start("reader", "reader"), _calls(("wait_background_agents", {"mode": "any"})), "Found."]
    return answers[min(_turn(messages), 2)]


def read(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Run some programs, two at a time."""
    time.sleep(0.25)
    return "Read." if _turn(messages) > 1 else _calls(("shell", {"cmd": "sleep 0.5"}), ("shell", {"cmd": "sleep 0.8"}))


def be_killed(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Run a program, and be killed."""
    time.sleep(0.2)
    if _turn(messages):
        os.kill(os.getpid(), signal.SIGKILL)
    return _calls(("shell", {"cmd": "sleep 0.4"}))


def main() -> None:
    """Run the team, and draw."""
    with tempfile.TemporaryDirectory() as folder:
        team = Path(folder, "team.yaml")
        team.write_text(json.dumps(TEAM))
        environ = {**os.environ, "SUBACTORS_STATE_DIR": folder, "PYTHONPATH": str(Path(__file__).parent)}
        for arguments in (["run", str(team), "Go."], ["timeline", "-o", str(TARGET)]):
            command = [sys.executable, "-m", "subactors.runtime.cli", *arguments]
            subprocess.run(command, env=environ, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
