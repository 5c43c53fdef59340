"""What a process still does when its actor has stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaving_actors import HoldsBackALog, LeavesAnExitFunction, LeavesAThread, LeavesWorkToAPool
from process_listeners import Started
from subactors.actors import ProcessActor, ProcessSystem


@pytest.mark.parametrize(
    "actor_class",
    [
        pytest.param(HoldsBackALog, id="a log that a handler has held back is written"),
        pytest.param(LeavesAnExitFunction, id="functions that it registered for its exit are called"),
        pytest.param(LeavesAThread, id="a thread that is no daemon comes to its end"),
        pytest.param(LeavesWorkToAPool, id="an executor does what it was given"),
    ],
)
def test_before_a_process_exits(actor_class: type[ProcessActor], own_system: ProcessSystem, tmp_path: Path) -> None:
    file = tmp_path / "file"
    started = Started(own_system, actor_class, file)
    started.reference.stop()
    end = started.wait_for_end()
    assert end.normal
    assert "the last word" in file.read_text()
