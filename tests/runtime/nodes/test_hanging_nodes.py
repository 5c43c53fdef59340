"""A node whose zygote never ends an import: it takes tasks, and none of them begins. They end as they would here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_teams import ended, nodes_of
from processes_and_waits import wait_until
from ssh_server import needs_sshd, ssh_place
from subactors.actors.host import forked_process
from subactors.runtime import Runtime
from teams import PATIENCE

pytestmark = needs_sshd


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A runtime whose node has taken a task that does not begin."""
    monkeypatch.setattr(forked_process, "_FORK_LIMIT", 0.1)
    team, lab = tmp_path / "team", tmp_path / "lab"
    team.mkdir()
    lab.mkdir()
    (team / "hangs.py").write_text("import time\ntime.sleep(600)\n")
    (team / "team.yaml").write_text(
        "agents:\n"
        "  work: {entrypoint: 'hangs:work'}\n"
        "  limited: {entrypoint: 'hangs:work', limits: {wall_clock: 0.1}}\n"
        "runtime: {preload: [hangs], stop_grace: 0.1, standby: 0}\n"
    )
    with ssh_place(lab) as place, Runtime.from_file(team / "team.yaml", places=(place,), place="lab") as runtime:
        yield runtime


def test_a_task_that_its_node_never_begins_is_stopped(runtime: Runtime) -> None:
    task = runtime.run("work", "x")
    wait_until(lambda: [node.tasks for node in nodes_of(runtime)] == [1], "the node has it", limit=PATIENCE)

    view = runtime.stop(task)[0]

    assert (view.status, view.result) == ("stopped", None)
    assert view.reason.endswith("; it had not begun, as its process did not come to exist.")


def test_a_limit_ends_a_task_that_its_node_never_begins(runtime: Runtime) -> None:
    view = ended(runtime, runtime.run("limited", "x"))

    assert view.status == "failed"
    assert view.reason.startswith("The limit wall_clock of 0.1 s was reached")
