"""What a task had started that is continued in another host."""

from __future__ import annotations

from pathlib import Path

from run_folders import host, task_row
from subactors.runtime.place.former import former_task
from subactors.runtime.runs.folder import RunFiles
from subactors.runtime.runs.journal import Journal

OWNER, CHILD = "agent_task_00000001", "agent_task_00000002"


def test_what_still_runs_in_a_host_that_lives_is_not_shown_as_failed(tmp_path: Path) -> None:
    with host(tmp_path) as other:
        journal = Journal(RunFiles(other.run).journal, {})
        journal.write([task_row(1), task_row(2, status="running", parent=OWNER, runtime=None, result=None)])
        journal.close()
        living = former_task(tmp_path, CHILD, OWNER, None)
        other.kill()
        dead = former_task(tmp_path, CHILD, OWNER, None)

    assert living is not None
    assert dead is not None
    assert (living.status, dead.status) == ("running", "failed")
