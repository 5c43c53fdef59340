"""Hosts that hang, break off, or have just begun, and what a watcher shows of them meanwhile.

Nobody else watches here: these tests change how long a watcher waits.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from processes_and_waits import wait_until
from run_folders import past_run
from seen_tasks import seen
from subactors.runtime import Runtime
from subactors.runtime.runs.folder import RunFolder
from subactors.runtime.watching.watcher import Watcher
from watched import TEAM, watched

PATIENCE = 20.0


@pytest.mark.slow
def test_a_host_that_hangs_is_shown_by_its_journal_with_a_word_and_then_as_before(tmp_path: Path) -> None:
    with watched(tmp_path) as host:
        task_id = host.start("speaks", "hello")
        host.host.program.send_signal(signal.SIGSTOP)
        try:
            with Watcher(tmp_path) as watcher, watcher.looking() as model:
                wait_until(lambda: any(run.warning for run in model.runs()), "it is said", PATIENCE)
                assert seen(model, task_id).agent == "speaks"
                host.host.program.send_signal(signal.SIGCONT)
                seen(model, task_id, words="hello")
                wait_until(lambda: not any(run.warning for run in model.runs()), "all is well", PATIENCE)
        finally:
            host.host.program.send_signal(signal.SIGCONT)


def test_a_host_that_has_hung_is_shown_as_it_was_though_nothing_has_changed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.watching.watcher._WAIT", 0.2)
    monkeypatch.setattr("subactors.runtime.watching.watcher.PATIENCE", 0.5)
    with watched(tmp_path) as host, Watcher(tmp_path) as watcher, watcher.looking() as model:
        task_id = host.start("speaks", "hello")
        pid = seen(model, task_id, words="hello").pid
        host.host.program.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: any(run.warning for run in model.runs()), "it is said", PATIENCE)
            assert seen(model, task_id).pid is None  # as the journal has it
        finally:
            host.host.program.send_signal(signal.SIGCONT)
        wait_until(lambda: seen(model, task_id).pid == pid, "its process is shown again", PATIENCE)


def test_a_host_that_answers_again_each_time_is_not_said_to_be_silent(tmp_path: Path) -> None:
    warnings: list[str] = []
    with (
        Runtime.from_mapping(TEAM, state_dir=tmp_path, standby=0) as runtime,
        Watcher(tmp_path, lambda: warnings.extend(run.warning for run in watcher.model.runs())) as watcher,
        watcher.looking() as model,
    ):
        control, more = runtime._host._control, tmp_path / "more"
        assert control is not None
        task_id = runtime.run("speaks", "0", data={"file": str(more)}).id
        seen(model, task_id, words="0")
        for number in range(1, 7):
            (connection,) = control._connections
            runtime._host.system.io.call(connection.close)
            wait_until(lambda gone=connection: gone not in control._connections, "the connection is closed", PATIENCE)
            with more.open("a") as file:
                file.write(f"{number}\n")
            seen(model, task_id, words=str(number))
        runtime.stop(task_id)

    assert not any(warnings)


def test_many_hosts_that_do_not_answer_are_waited_for_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subactors.runtime.watching.watcher._AGAIN", (600.0,))
    folders = [RunFolder.create(tmp_path) for _ in range(4)]
    with Watcher(tmp_path) as watcher, watcher.looking() as model:
        assert len(model.runs()) == 4
        assert watcher._found_once.is_set()
    for folder in folders:
        folder.release()


def test_a_host_that_has_just_begun_has_its_time_whoever_else_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subactors.runtime.watching.watcher._AGAIN", (600.0,))
    folder = RunFolder.create(tmp_path)
    with Watcher(tmp_path) as watcher, watcher.looking() as model:
        for _ in range(3):
            with watcher.looking():
                assert [run.warning for run in model.runs()] == [""]
        past_run(tmp_path)
        with watcher.looking(former=True):
            assert sorted(run.warning for run in model.runs()) == ["", ""]
    folder.release()
