"""`subactors dashboard`, and `run --dashboard`, as commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from dashboards import Served
from processes_and_waits import wait_until
from run_folders import command

PATIENCE = 30.0


def test_a_dashboard_of_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    missing = tmp_path / "mistyped"
    with subprocess.Popen(
        command("dashboard", "--ends-with-input", "--state-dir", missing),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        said = program.communicate(timeout=PATIENCE)[1]

    assert f"There is no folder {missing}: no run is kept there." in said


def test_a_run_with_a_dashboard_and_no_terminal_has_its_calls_approved_there(tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    model = "{model: 'python/asking_entrypoints:does_what_it_is_told', toolsets: [{type: think}]}"
    team.write_text(f"agents: {{root: {model}}}\npermissions: {{ask: [think]}}")
    with subprocess.Popen(
        command("run", team, json.dumps([["think", {"thought": "well"}]]), "--dashboard", "--state-dir", tmp_path),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        address = next(line for line in program.stderr if line.startswith("Dashboard: ")).split()[1]
        served = Served(address, program)
        asked: list[Any] = []

        def is_asked() -> bool:
            asked[:] = [each for task in served.ask("/api/tasks").body["tasks"] for each in task["questions"]]
            return bool(asked)

        wait_until(is_asked, "its call waits for an approval", PATIENCE)
        said = {"question": asked[0]["id"], "text": "deny: not here"}
        answer = served.ask(f"/api/tasks/{asked[0]['task_id']}/answer", said)
        told = program.communicate(timeout=PATIENCE)[0]

    assert answer.status == 202
    assert "not here" in told
