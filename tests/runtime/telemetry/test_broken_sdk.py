"""What an SDK raises harms no task, and is said once."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from subactors.runtime.host import Host
from subactors.runtime.tasks.messages import RunTask, WaitTasks
from subactors.runtime.teamfile.load import team_from_mapping
from subactors.runtime.telemetry.telemetry import Telemetry


class Broken:
    def start_span(self, name: str, **_: Any) -> Any:
        raise RuntimeError(f"no {name}")


def test_what_an_sdk_raises_harms_no_task_and_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry(Broken(), NoOpMeterProvider().get_meter("x"))
    team = team_from_mapping({"agents": {"echo": {"entrypoint": "entrypoints:echo"}}})
    with (
        caplog.at_level(logging.ERROR, "subactors"),
        Host(team, state_dir=tmp_path, standby=0, telemetry=telemetry) as host,
    ):
        ids = [host.ask(RunTask("echo", "word")).result().task_id for _ in range(3)]
        views = host.ask(WaitTasks(ids)).result().tasks

    assert [view.status for view in views] == ["completed"] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "OpenTelemetry could not take something of a task; its spans lack it."
    ]
